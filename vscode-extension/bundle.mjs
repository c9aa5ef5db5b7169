// Builds the server's wheel into bundled/, from where Install Server takes it; PYTHON names the Python that builds.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { env, platform } from "node:process";

const python = env.PYTHON ?? (platform === "win32" ? "python" : "python3");
rmSync("bundled", { recursive: true, force: true });
execFileSync(
  python,
  ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "bundled", ".."],
  {
    stdio: "inherit",
  },
);

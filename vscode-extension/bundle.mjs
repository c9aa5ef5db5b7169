// Puts into bundled/ what Install Server takes from there: the server's wheel, and the versions it was tested with.
// PYTHON names the Python that builds.
import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
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
copyFileSync("../constraints.txt", "bundled/constraints.txt");

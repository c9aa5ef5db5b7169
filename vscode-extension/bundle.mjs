// Puts into bundled/ what Install Server takes from there: the server's wheel, the versions it was tested with, and what
// it asks for where PyTorch is left out. And into out/ the extension's page, as vsce takes it.
// PYTHON names the Python that builds.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

const wheel = readdirSync("bundled").find((name) => name.endsWith(".whl"));
const metadata = execFileSync(
  python,
  [
    "-c",
    "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); " +
      "print(z.read(next(n for n in z.namelist() if n.endswith('.dist-info/METADATA'))).decode())",
    join("bundled", wheel),
  ],
  { encoding: "utf8" },
);
// The packages that engine/model/torch_missing.py names; they bring the rest that only they need.
const needsTorch = /^(torch|transformers|accelerate)\b/;
const asked = metadata.split("\n\n", 1)[0].match(/(?<=^Requires-Dist: ).*$/gm);
const withoutTorch = asked.filter((line) => !line.includes("extra ==") && !needsTorch.test(line));
writeFileSync("bundled/without-torch.txt", `${withoutTorch.join("\n")}\n`);

// Editors show a page's pictures only from https addresses, and there is none of ours: not even vsce takes others.
mkdirSync("out", { recursive: true });
const page = readFileSync("README.md", "utf8").replace(/!\[[^\]]*\]\(media\/[^)]*\)\n+/g, "");
writeFileSync("out/README.md", page);

// Bundles the extension into one file, or the unit tests into out/test (--tests).
import { rmSync } from "node:fs";
import { argv } from "node:process";
import { build } from "esbuild";

const shared = {
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20", // the Node of VS Code 1.91
  logLevel: "warning",
};

if (argv.includes("--tests")) {
  rmSync("out/test", { recursive: true, force: true });
  await build({
    ...shared,
    entryPoints: ["test/unit/**/*.test.ts"],
    outdir: "out/test",
    alias: {
      vscode: "./test/unit/fakes/vscode.ts",
      "vscode-languageclient/node": "./test/unit/fakes/languageClient.ts",
    },
    outExtension: { ".js": ".cjs" },
  });
} else {
  await build({
    ...shared,
    entryPoints: ["src/extension.ts"],
    outfile: "out/extension.js",
    external: ["vscode"],
    minify: argv.includes("--minify"),
  });
}

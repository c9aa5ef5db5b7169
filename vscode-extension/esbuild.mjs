// Bundles the extension into two files and each page into a script and a style, or the unit tests into out/test (--tests).
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";
import { build } from "esbuild";

const shared = {
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20", // the Node of VS Code 1.91
  logLevel: "warning",
};

/** The editor's module as it is: esbuild would copy its hundreds of names for each file that imports it. */
const notCopied = {
  name: "not-copied",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => ({
      loader: "ts",
      contents: (await readFile(path, "utf8")).replace(
        'import * as vscode from "vscode";',
        'import vscode = require("vscode");',
      ),
    }));
  },
};

/** What is imported only when it is needed stays a file of its own. */
const keepApart = {
  name: "keep-apart",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/connection$/ }, ({ path, kind }) =>
      kind === "dynamic-import" ? { path, external: true } : undefined,
    );
  },
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
  const pages = await build({
    ...shared,
    entryPoints: ["media/history.js", "media/slider.js"],
    outdir: "out",
    format: "iife",
    platform: "browser",
    target: "chrome122", // of the same editor
    minify: argv.includes("--minify"),
    metafile: true,
  });
  const { metafile } = await build({
    ...shared,
    // Two files: even to skim over the language client's library takes longer than all the rest needs to start.
    entryPoints: ["src/extension.ts", "src/connection.ts"],
    outdir: "out",
    external: ["vscode"],
    plugins: [keepApart, notCopied],
    supported: { "dynamic-import": false }, // it becomes require, which knows the module "vscode"
    minify: argv.includes("--minify"),
    metafile: true,
  });
  const { inputs } = metafile.outputs["out/extension.js"];
  const libraries = Object.keys(inputs).filter((input) => input.includes("node_modules"));
  if (libraries.length > 0) {
    throw new Error(`The extension would start with ${libraries.join(", ")} in it.`);
  }
  const bundled = [...Object.keys(pages.metafile.inputs), ...Object.keys(metafile.inputs)]
    .map((input) => /^.*?\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0])
    .filter((folder) => folder !== undefined);
  const licences = [...new Set(bundled)].map((folder) => {
    const name = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
    return `${folder.replace(/^.*node_modules\//, "")}\n\n${readFileSync(join(folder, name), "utf8").trim()}\n`;
  });
  if (licences.length === 0) throw new Error("No licence of what is bundled was found.");
  writeFileSync("out/LICENCES.txt", licences.join("\n\n"));
  const { imports } = metafile.outputs["out/connection.js"];
  const missing = imports.filter(({ path }) => path.startsWith("."));
  if (missing.length > 0) {
    throw new Error(`${missing.map(({ path }) => path).join(", ")} would be looked for beside it.`);
  }
}

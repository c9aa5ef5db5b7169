import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["out/", "node_modules/", "bundled/"] },
  js.configs.recommended,
  {
    files: ["src/**/*.ts", "test/**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/explicit-module-boundary-types": "error",
      eqeqeq: "error",
    },
  },
  {
    // These do not meet the editor, but for its language; they run, and are tested, under plain Node.
    files: [
      "src/{commandIds,doctorReport,format,greenMode,history,languages,protocol,server,sliderPage,snapshot,statusText,taskQueue}.ts",
      "src/setup/{environments,lock,pip,process}.ts",
    ],
    rules: { "no-restricted-imports": ["error", "vscode", "vscode-languageclient/node"] },
  },
  {
    // node:test runs what test() returns; there is nothing to await.
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-floating-promises": [
        "error",
        { allowForKnownSafeCalls: [{ from: "package", name: "test", package: "node:test" }] },
      ],
    },
  },
  {
    files: ["media/*.js"],
    languageOptions: {
      globals: {
        document: "readonly",
        window: "readonly",
        acquireVsCodeApi: "readonly",
        getComputedStyle: "readonly",
        MutationObserver: "readonly",
        ResizeObserver: "readonly",
      },
    },
  },
);

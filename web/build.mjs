// Builds the page into the folder that crates/consort-web embeds. `node build.mjs FOLDER` builds it
// somewhere else, so that the two can be compared.
import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(here, "../crates/consort-web/page");

await mkdir(folder, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.jsx", surface: "src/surface/main.jsx" },
  outdir: folder,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  banner: { js: "/* Contains Preact and Preact Signals: MIT licence, Copyright (c) Jason Miller, Preact Team */" },
});
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/app.css", surface: "src/surface/surface.css" },
  outdir: folder,
  minify: true,
  target: "chrome100",
});
for (const file of ["index.html", "icon.svg"]) {
  await copyFile(join(here, "src", file), join(folder, file));
}
await copyFile(join(here, "src/surface/index.html"), join(folder, "surface.html"));

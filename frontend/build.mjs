// Builds saas/web/static/dist from this folder. The same sources give the same bytes on every machine.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const dist = join(here, "..", "saas", "web", "static", "dist");
const modules = join(here, "node_modules");

// saas/web/assets.py reads the same list and counts the same hash; change both together.
const SOURCES = [".npmrc", "build.mjs", "package-lock.json", "package.json", "src", "static", "styles", "tsconfig.json"];

const COPIES = {
  "bootstrap.js": "bootstrap/dist/js/bootstrap.bundle.min.js",
  "htmx.js": "htmx.org/dist/htmx.min.js",
  "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
  "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
};

const LICENCES = [
  ["Bootstrap (app.css, bootstrap.js)", "bootstrap/LICENSE"],
  ["Popper (in bootstrap.js)", "@popperjs/core/LICENSE.md"],
  ["htmx (htmx.js)", "htmx.org/LICENSE"],
  ["Swagger UI (swagger-ui.css, swagger-ui.js)", "swagger-ui-dist/LICENSE"],
  ["Swagger UI, notice", "swagger-ui-dist/NOTICE"],
  ["Parts within swagger-ui.js", "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt"],
];

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function filesUnder(path) {
  const found = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) found.push(...(await filesUnder(child)));
    else found.push(child);
  }
  return found;
}

async function sourcePaths() {
  const paths = [];
  for (const name of SOURCES) {
    if (name.includes(".")) paths.push(name);
    else paths.push(...(await filesUnder(join(here, name))).map((path) => relative(here, path).split(sep).join("/")));
  }
  return paths.sort();
}

async function sourcesHash() {
  const hash = createHash("sha256");
  for (const path of await sourcePaths()) {
    const bytes = await readFile(join(here, path));
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

async function bundle() {
  const common = { bundle: true, outdir: dist, charset: "utf8", logLevel: "warning", legalComments: "inline" };
  await build({
    ...common,
    entryPoints: ["app", "theme", "apidocs"].map((name) => join(here, "src", `${name}.ts`)),
    format: "iife",
    target: "es2022",
    minify: true,
  });
  // Only white space goes: values and class names stay as the style sheets say them.
  await build({
    ...common,
    entryPoints: [join(here, "styles", "app.css")],
    target: "esnext",
    minifyWhitespace: true,
  });
}

async function copy() {
  for (const [name, from] of Object.entries(COPIES)) {
    const text = await readFile(join(modules, from), "utf8");
    await writeFile(join(dist, name), text.replace(/^(\/\/# sourceMappingURL=.*|\/\*# sourceMappingURL=.*\*\/)$/gm, "").trimEnd() + "\n");
  }
  for (const name of ["icons.svg", "favicon.svg"]) {
    await writeFile(join(dist, name), await readFile(join(here, "static", name)));
  }
}

async function licences() {
  const parts = [await readFile(join(here, "static", "lucide.LICENSE.txt"), "utf8")];
  for (const [title, from] of LICENCES) {
    parts.push(`${title}\n\n${(await readFile(join(modules, from), "utf8")).trim()}\n`);
  }
  await writeFile(join(dist, "LICENSES.txt"), parts.join(`\n${"-".repeat(80)}\n\n`));
}

async function manifest() {
  const files = {};
  for (const name of (await readdir(dist)).sort()) {
    files[name] = sha256(await readFile(join(dist, name))).slice(0, 16);
  }
  const text = JSON.stringify({ sources_sha256: await sourcesHash(), files }, null, 2);
  await writeFile(join(dist, "manifest.json"), `${text}\n`);
}

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await bundle();
await copy();
await licences();
await manifest();

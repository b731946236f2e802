// Builds src/ into rootstock/web/static/dist/: app.js, app.css, one bundle per island, shared
// chunks, and an icon sprite with just the icons that templates, Python and TypeScript name. The widget is built for
// itself into dist/widget/: it runs on the pages of others and shares nothing.
import { context, transform } from "esbuild";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const dist = resolve(here, "../rootstock/web/static/dist");
const watch = process.argv.includes("--watch");

async function* walk(folder, endings) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name === "node_modules" || entry.name === "dist" || entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path, endings);
    else if (endings.some((ending) => entry.name.endsWith(ending))) yield path;
  }
}

// `{% icon "bell" %}`, `icon("bell")`, `icon="bell"`, `icon: "bell"` and `icon='bell'`. A name that Lucide does not
// have stops the build: a missing icon would be an invisible button.
const ICON = /\bicon(?:_name)?["']?\s*(?:[(=:]\s*)?["']([a-z0-9]+(?:-[a-z0-9]+)*)["']/g;

// In Python a registered page names its icon as the fourth argument: every quoted word there that is an icon counts.
const WORD = /["']([a-z0-9]+(?:-[a-z0-9]+)*)["']/g;

async function sprite() {
  const used = new Map();
  const icons = join(here, "node_modules/lucide-static/icons");
  const lucide = new Set(await readdir(icons));
  for (const folder of [resolve(here, "src"), resolve(here, "../rootstock"), resolve(root, "apps")]) {
    for await (const path of walk(folder, [".html", ".py", ".ts"])) {
      const text = await readFile(path, "utf8");
      for (const [, name] of text.matchAll(ICON)) {
        if (!used.has(name)) used.set(name, relative(root, path));
      }
      if (!path.endsWith(".py") || !text.includes("rootstock.web")) continue;
      for (const [, name] of text.matchAll(WORD)) {
        if (lucide.has(`${name}.svg`) && !used.has(name)) used.set(name, relative(root, path));
      }
    }
  }
  const symbols = [];
  const missing = [];
  for (const [name, path] of [...used].sort()) {
    const svg = await readFile(join(icons, `${name}.svg`), "utf8").catch(() => null);
    const body = svg?.match(/<svg[^>]*>([\s\S]*)<\/svg>/)?.[1];
    if (body === undefined) missing.push(`${name} (${path})`);
    else symbols.push(`<symbol id="${name}" viewBox="0 0 24 24">${body.replace(/\s*\n\s*/g, "")}</symbol>`);
  }
  if (missing.length > 0) throw new Error(`Lucide has no icon named ${missing.join(", ")}`);
  await writeAtomically(
    join(dist, "icons.svg"),
    `<svg xmlns="http://www.w3.org/2000/svg" fill="none" stroke="currentColor" stroke-width="2" ` +
      `stroke-linecap="round" stroke-linejoin="round">${symbols.join("")}</svg>\n`,
  );
  return symbols.length;
}

async function writeAtomically(path, text) {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

// Chunks of older builds would otherwise pile up; pages that are open keep what they have loaded.
const sweep = {
  name: "sweep",
  setup(build) {
    build.onEnd(async (result) => {
      if (result.errors.length > 0 || !result.metafile) return;
      const kept = new Set(Object.keys(result.metafile.outputs).map((path) => resolve(here, path)));
      kept.add(join(dist, "icons.svg"));
      for await (const path of walkAll(dist)) {
        if (!kept.has(path) && !path.startsWith(join(dist, "widget"))) await rm(path, { force: true });
      }
      const icons = await sprite();
      const sizes = [];
      for (const path of kept) {
        if (/(app\.(js|css)|islands|dist\/[^/]+\.js)$/.test(path) && !path.endsWith(".map")) {
          sizes.push(`${relative(dist, path)} ${Math.ceil((await stat(path)).size / 1024)} kB`);
        }
      }
      console.log(`built ${sizes.join(", ")}, ${icons} icons`);
    });
  },
};

async function* walkAll(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walkAll(path);
    else yield path;
  }
}

await mkdir(dist, { recursive: true });
const islands = (await readdir(join(here, "src/islands"))).filter((name) => name.endsWith(".ts"));
const build = await context({
  absWorkingDir: here,
  entryPoints: [
    { in: "src/app.ts", out: "app" },
    { in: "src/css/app.css", out: "app" },
    ...islands.map((name) => ({ in: `src/islands/${name}`, out: name.replace(/\.ts$/, "") })),
  ],
  outdir: dist,
  bundle: true,
  splitting: true,
  format: "esm",
  chunkNames: "chunks/[name]-[hash]",
  target: ["chrome123", "firefox120", "safari17.5"],
  minify: !watch,
  sourcemap: watch ? "inline" : false,
  metafile: true,
  legalComments: "none",
  logLevel: "warning",
  plugins: [sweep],
});
// The loader adopts its style sheet from a text: a <style> would need the host page's permission.
const styleText = {
  name: "style-text",
  setup({ onLoad }) {
    onLoad({ filter: /widget\/loader\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code, loader: "text" };
    });
  },
};

const widget = await context({
  absWorkingDir: here,
  entryPoints: ["loader.ts", "frame.ts", "frame.css"].map((name) => `src/widget/${name}`),
  outdir: join(dist, "widget"),
  bundle: true,
  format: "iife",
  // What a company's customers have in their hands is older than what its people work with.
  target: ["es2021", "safari16.4"],
  plugins: [styleText],
  minify: !watch,
  sourcemap: watch ? "inline" : false,
  legalComments: "none",
  logLevel: "warning",
});
for (const made of [build, widget]) {
  if (watch) await made.watch();
  else {
    await made.rebuild();
    await made.dispose();
  }
}

/** Imports of the page's files form no circle. */

import { expect, test } from "vitest";

const SOURCES = import.meta.glob<string>("../src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const IMPORT = /(?:from|import)\s*\(?\s*"(\.[^"]+)"/g;

function target(from: string, name: string): string | undefined {
  const path = new URL(name, `file://${from.replace("..", "/web")}`).pathname.replace("/web", "..");
  return [path, `${path}.ts`, `${path}.tsx`, `${path}/index.ts`].find((candidate) => candidate in SOURCES);
}

function imports(file: string): string[] {
  return [...(SOURCES[file] ?? "").matchAll(IMPORT)].flatMap(([, name]) => target(file, name ?? "") ?? []);
}

function circle(file: string, path: string[], done: Set<string>): string[] | null {
  if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
  if (done.has(file)) return null;
  for (const next of imports(file)) {
    const found = circle(next, [...path, file], done);
    if (found) return found;
  }
  done.add(file);
  return null;
}

test("there are files, and they import each other", () => {
  expect(imports("../src/App.tsx")).toContain("../src/panels/Header.tsx");
  expect(imports("../src/App.tsx")).toContain("../src/viewer/Viewer.tsx");
});

test("no file imports itself, however far around", () => {
  const done = new Set<string>();
  const found = Object.keys(SOURCES).flatMap((file) => circle(file, [], done) ?? []);
  expect(found).toEqual([]);
});

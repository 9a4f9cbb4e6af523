/** The queue of readings: one at a time, whatever is cancelled or read again meanwhile. */

import { beforeEach, expect, test } from "vitest";

import { START_OPTIONS } from "../src/api/options";
import { documents } from "../src/state/documents";
import { cancel, cancelAll, readFiles, retry } from "../src/state/reader";
import { answerReadings, type Reading, settle } from "./server";

let readings: Reading[];

beforeEach(async () => {
  cancelAll();
  await settle();
  documents.set([]);
  readings = answerReadings();
});

const files = (...names: string[]): File[] => names.map((name) => new File(["x"], name));
const statuses = (): string[] => documents.get().map((document) => document.status);
const id = (at: number): string => documents.get()[at]?.id ?? "";

test("documents are read one after another", async () => {
  readFiles(files("a.pdf", "b.pdf"), START_OPTIONS);
  await settle();
  expect(readings.map((reading) => reading.name)).toEqual(["a.pdf"]);
  readings[0]?.finish({ 1: "ok" });
  await settle();
  expect(readings.map((reading) => reading.name)).toEqual(["a.pdf", "b.pdf"]);
  expect(statuses()).toEqual(["done", "reading"]);
});

test("pages read again wait their turn, and cancelling another document does not stop them", async () => {
  readFiles(files("a.pdf", "b.pdf"), START_OPTIONS);
  await settle();
  readings[0]?.finish({ 1: "ok", 2: "failed", 3: "failed", 4: "ok", 5: "failed" });
  await settle();
  retry(id(0));
  await settle();
  expect(readings).toHaveLength(2);
  expect(statuses()).toEqual(["queued", "reading"]);
  cancel(id(1));
  await settle();
  expect(readings[1]?.aborted).toBe(true);
  expect(readings.slice(2).map((reading) => reading.span)).toEqual(["2-3"]);
  expect(readings[2]?.aborted).toBe(false);
  readings[2]?.finish({ 2: "ok", 3: "ok" });
  await settle();
  expect(readings[3]?.span).toBe("5-5");
  readings[3]?.finish({ 5: "ok" });
  await settle();
  expect(statuses()).toEqual(["done", "cancelled"]);
  expect(documents.get()[0]?.pages.map((page) => page.status)).toEqual(["ok", "ok", "ok", "ok", "ok"]);
});

test("after pages were read again the queue goes on", async () => {
  readFiles(files("a.pdf"), START_OPTIONS);
  await settle();
  readings[0]?.finish({ 1: "failed" });
  await settle();
  retry(id(0));
  readFiles(files("b.pdf"), START_OPTIONS);
  await settle();
  readings[1]?.finish({ 1: "ok" });
  await settle();
  expect(readings[2]?.name).toBe("b.pdf");
});

test("cancelling a document ends all that was still to be read of it", async () => {
  readFiles(files("a.pdf"), START_OPTIONS);
  await settle();
  readings[0]?.finish({ 1: "failed", 2: "ok", 3: "failed" });
  await settle();
  retry(id(0));
  await settle();
  cancel(id(0));
  await settle();
  expect(readings).toHaveLength(2);
  expect(statuses()).toEqual(["cancelled"]);
  retry(id(0));
  await settle();
  expect(readings[2]?.span).toBe("1-1");
});

test("asked twice, pages are read again once", async () => {
  readFiles(files("a.pdf"), START_OPTIONS);
  await settle();
  readings[0]?.finish({ 1: "failed" });
  await settle();
  retry(id(0));
  retry(id(0));
  await settle();
  readings[1]?.finish({ 1: "failed" });
  await settle();
  expect(readings).toHaveLength(2);
});

test("cancel all ends what is read and what waits", async () => {
  readFiles(files("a.pdf", "b.pdf", "c.pdf"), START_OPTIONS);
  await settle();
  cancelAll();
  await settle();
  expect(readings).toHaveLength(1);
  expect(readings[0]?.aborted).toBe(true);
  expect(statuses()).toEqual(["cancelled", "cancelled", "cancelled"]);
});

test("a document that broke off is read on from where it was", async () => {
  readFiles(files("a.pdf"), START_OPTIONS);
  await settle();
  const [first] = readings;
  first?.send({ type: "start", kind: "pdf", pages: 3 });
  await settle();
  cancel(id(0));
  await settle();
  retry(id(0));
  await settle();
  expect(readings[1]?.span).toBe("1-3");
  readings[1]?.finish({ 1: "ok", 2: "ok", 3: "ok" });
  await settle();
  expect(documents.get()[0]?.finished).toBe(3);
  expect(statuses()).toEqual(["done"]);
});

test("a document that was refused whole is read again whole, with the password that was given", async () => {
  globalThis.fetch = async () =>
    Promise.resolve(
      Response.json({ error: { code: "pdf_password_required", message: "", remedy: "" } }, { status: 422 }),
    );
  readFiles(files("a.pdf"), START_OPTIONS);
  await settle();
  expect(documents.get()[0]?.error?.code).toBe("pdf_password_required");
  readings = answerReadings();
  retry(id(0), { password: "open sesame" });
  await settle();
  expect(readings[0]?.form.get("password")).toBe("open sesame");
  expect(readings[0]?.span).toBe("-");
});

test("the chosen pages, resolution and password go with every reading", async () => {
  readFiles(files("a.pdf"), { ...START_OPTIONS, dpi: 300, pageFrom: "2", pageTo: "4", password: "p" });
  await settle();
  const form = readings[0]?.form;
  expect(form && ["dpi", "page_from", "page_to", "password"].map((name) => form.get(name))).toEqual(["300", "2", "4", "p"]);
});

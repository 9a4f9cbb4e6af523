import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const SERVER = process.env.OCR_URL ?? "http://localhost:8000";
const ROUTES = ["/api", "/batch", "/export", "/health", "/info", "/jobs", "/metrics", "/ocr", "/pdf"];

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the Content-Security-Policy knows no inline code, and fonts stay files
    modulePreload: { polyfill: false },
    license: true, // the notices of everything bundled, beside it
  },
  server: { proxy: Object.fromEntries(ROUTES.map((route) => [route, SERVER])) },
});

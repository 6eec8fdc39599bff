// Compresses the built files, so that the gateway need not compress them.

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    const file = new URL(name, dist);
    if (name.startsWith(".vite") || !statSync(file).isFile()) continue;
    const content = readFileSync(file);
    const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } });
    writeFileSync(`${file.pathname}.br`, brotli);
    writeFileSync(`${file.pathname}.gz`, gzipSync(content, { level: 9 }));
}

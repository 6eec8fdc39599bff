// The texts in all languages are complete, translated, and contain the same values.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { matchLanguage, LANGUAGES } from "../src/i18n/languages.ts";

type Tree = { [key: string]: string | ((...facts: string[]) => string) | Tree };

/** Names, and words that are the same in some languages. */
const SHARED = new Set(["Link", "Terminal"]);

const FACTS = ["<first>", "<second>"];

function flatten(tree: Tree, prefix = ""): Map<string, string> {
    return new Map(
        Object.entries(tree).flatMap(([key, value]) => {
            const path = `${prefix}${key}`;
            if (typeof value === "object") return [...flatten(value, `${path}.`)];
            return [[path, typeof value === "string" ? value : value(...FACTS.slice(0, value.length))] as const];
        }),
    );
}

/** The folders with texts, one file for each language. */
const folders = readdirSync(new URL("../src/", import.meta.url), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith("i18n/en.ts"))
    .map((path) => new URL(`../src/${path.slice(0, -"en.ts".length)}`, import.meta.url));

async function load(folder: URL, language: string): Promise<Map<string, string>> {
    const { default: texts } = (await import(new URL(`${language}.ts`, folder).href)) as { default: Tree };
    return flatten(texts);
}

test("page and bot have the same languages", () => {
    const texts = readdirSync(new URL("../../services/bot/texts/", import.meta.url));
    const spoken = texts.map((name) => name.replace(/\.ftl$/, ""));
    assert.deepEqual(spoken.sort(), Object.keys(LANGUAGES).sort());
});

test("every language has all texts, translated and with the same values", async () => {
    assert.ok(folders.length > 0);
    for (const folder of folders) {
        const english = await load(folder, "en");
        for (const language of Object.keys(LANGUAGES).filter((language) => language !== "en")) {
            const texts = await load(folder, language);
            assert.deepEqual([...texts.keys()].sort(), [...english.keys()].sort(), language);
            for (const [key, text] of texts) {
                const original = english.get(key) ?? "";
                assert.notEqual(text.trim(), "", `${language} ${key}`);
                if (!SHARED.has(text)) assert.notEqual(text, original, `${language} ${key} is in English`);
                for (const fact of FACTS) {
                    assert.equal(text.includes(fact), original.includes(fact), `${language} ${key}: ${fact}`);
                }
            }
        }
    }
});

test("every text is used", async () => {
    const sources = readdirSync(new URL("../src/", import.meta.url), { recursive: true, encoding: "utf8" })
        .filter((path) => /\.(svelte|ts)$/.test(path) && !path.includes("i18n/") && !path.startsWith("gen/"))
        .map((path) => readFileSync(new URL(`../src/${path}`, import.meta.url), "utf8"))
        .join("\n");
    const output = (key: string) => {
        const name = key.split(".").at(-1) ?? "";
        // Some keys are composed: the step or state, and "Title".
        return [name, name.replace(/Title$/, "")].some((word) => new RegExp(`\\b${word}\\b`).test(sources));
    };
    for (const folder of folders) {
        for (const key of (await load(folder, "en")).keys()) assert.ok(output(key), key);
    }
});

test("the first supported language of the browser is selected", () => {
    assert.equal(matchLanguage(["ko-KR", "en"]), "ko");
    assert.equal(matchLanguage(["xx", "pt-BR"]), "pt");
    assert.equal(matchLanguage(["DE"]), "de");
    assert.equal(matchLanguage(["xx", "constructor"]), "en");
    assert.equal(matchLanguage([]), "en");
});

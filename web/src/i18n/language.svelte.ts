// The language of the page, and its texts.
//
// Each language is a module with the type of the English texts, and is loaded only when it is used. The choice is in
// the address (`?lang=ko`), since the page stores nothing in the browser.

import { DAY, HOUR, MINUTE, SECOND } from "../units.ts";
import { matchLanguage, type Language } from "./languages.ts";

/** Languages that are written from right to left. */
const RIGHT_TO_LEFT: ReadonlySet<string> = new Set(["ar", "fa", "he", "ur"]);

type Loaders<Texts> = Record<Language, () => Promise<{ default: Texts }>>;

/** All catalogues of this page. They change their language together. */
const catalogues: Catalogue<unknown>[] = [];

/** The texts of one part of the page, in the current language. */
export class Catalogue<Texts> {
    #loaders: Loaders<Texts>;
    #texts = $state.raw<Texts>();

    constructor(loaders: Loaders<Texts>) {
        this.#loaders = loaders;
        catalogues.push(this);
    }

    /** The texts, after `load` has completed. */
    get texts(): Texts {
        if (this.#texts === undefined) throw new Error("texts are used before they are loaded");
        return this.#texts;
    }

    /** Loads the texts in the current language. Await it before the page is shown. */
    async load(): Promise<void> {
        (await this.fetch(language.current))();
    }

    /** Loads the texts, and returns a function that switches to them. So all parts of a page switch at once. */
    async fetch(wanted: Language): Promise<() => void> {
        const loaded = await this.#loaders[wanted]();
        return () => (this.#texts = loaded.default);
    }
}

class LanguageState {
    #current = $state<Language>(preferredLanguage());

    /** The current language. */
    get current(): Language {
        return this.#current;
    }

    /** Changes the language, also for reloads. */
    async choose(wanted: Language): Promise<void> {
        const switches = await Promise.all(catalogues.map((catalogue) => catalogue.fetch(wanted)));
        for (const change of switches) change();
        this.#current = wanted;
        const address = new URL(location.href);
        address.searchParams.set("lang", wanted);
        history.replaceState(history.state, "", address);
        this.applyToDocument();
    }

    /** Sets the language of the document, for speech, fonts and hyphenation. */
    applyToDocument(): void {
        document.documentElement.lang = this.#current;
        document.documentElement.dir = RIGHT_TO_LEFT.has(this.#current) ? "rtl" : "ltr";
    }

    /** Returns `path` with the language of the address, if it has one. */
    addTo(path: string): string {
        void this.#current;
        const chosen = new URLSearchParams(location.search).get("lang");
        return chosen === null ? path : `${path}?lang=${encodeURIComponent(chosen)}`;
    }
}

/** The language of this page. */
export const language = new LanguageState();

/** Returns the language of the address, or the first supported language of the browser. */
function preferredLanguage(): Language {
    const requested = new URLSearchParams(location.search).get("lang");
    return matchLanguage(requested === null ? navigator.languages : [requested, ...navigator.languages]);
}

/** Formats a time in the current language, without line breaks. */
export function formatTime(time: Date): string {
    const formatted = new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(time);
    return formatted.replaceAll(" ", "\u00a0");
}

/** Formats the day of a time in UTC, in the current language, without line breaks. */
export function formatDay(time: Date): string {
    const formatted = new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeZone: "UTC" }).format(time);
    return formatted.replaceAll(" ", "\u00a0");
}

/** Formats a number in the current language. */
export function formatNumber(number: number): string {
    return new Intl.NumberFormat(locale()).format(number);
}

const UNITS = { day: DAY, hour: HOUR, minute: MINUTE, second: SECOND } as const;

/** Formats a duration in the current language, in the largest unit that divides it. */
export function formatDuration(seconds: number): string {
    const [unit, length] = Object.entries(UNITS).find(([, length]) => seconds % length === 0) ?? ["second", SECOND];
    return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long" }).format(seconds / length);
}

/** Returns the language with the browser's region, if any: 25/11 in London, 11/25 in New York. */
function locale(): string {
    const { current } = language;
    return navigator.languages.find((tag) => matchLanguage([tag]) === current && tag.startsWith(current)) ?? current;
}

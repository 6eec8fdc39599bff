// The languages of the page.

/** The languages, each with its own name. */
export const LANGUAGES = {
    en: "English",
    de: "Deutsch",
    es: "Español",
    ko: "한국어",
    pt: "Português",
    ru: "Русский",
} as const;

/** A language of the page, as its BCP 47 tag. */
export type Language = keyof typeof LANGUAGES;

/** Returns the first supported language, regardless of its region, or English. */
export function matchLanguage(wanted: readonly string[]): Language {
    for (const tag of wanted) {
        const primary = tag.toLowerCase().split("-")[0] ?? "";
        if (Object.hasOwn(LANGUAGES, primary)) return primary as Language;
    }
    return "en";
}

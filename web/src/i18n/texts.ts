// The texts of all pages but the admin page.

import type english from "./en.ts";
import { Catalogue } from "./language.svelte.ts";

/** The type of the texts in every language. */
export type Texts = typeof english;

/** The texts in the current language. */
export const page = new Catalogue<Texts>({
    en: () => import("./en.ts"),
    de: () => import("./de.ts"),
    es: () => import("./es.ts"),
    ko: () => import("./ko.ts"),
    pt: () => import("./pt.ts"),
    ru: () => import("./ru.ts"),
});

// Links: `/m/<id>#<token>` for a text, `/m/<id>#<token>.<key>` for what was encrypted in a browser. What stands behind the
// `#` never leaves the browser.

import type { Opener } from "./api/messages.ts";

/** What a link says, before anything of it is verified. */
export interface Link {
    opener: Opener;
    /** The last part, which opens sealed content; empty when there is none. */
    keyText: string;
}

/** The link to a message on this site. */
export function linkTo({ id, accessToken }: Opener, keyText: string): string {
    return `${location.origin}/m/${id}#${accessToken}${keyText && `.${keyText}`}`;
}

/** What an address says, or what is wrong with it. Blanks, which chats like to add, are ignored. */
export function parseLink(address: { pathname: string; hash: string }): Link | "incomplete" | "mistyped" {
    const id = /^\/m\/([1-9][0-9]{0,18})\/?$/.exec(address.pathname)?.[1];
    if (id === undefined || BigInt(id) >= 2n ** 63n) return "mistyped";
    const fragment = decode(address.hash.slice(1)).replaceAll(/\s/g, "");
    const [, accessToken, keyText = ""] = /^([0-9a-f]{64})(?:\.([^.]*))?\.?$/.exec(fragment) ?? [];
    if (accessToken === undefined) return fragment.length < 64 ? "incomplete" : "mistyped";
    return { opener: { id: BigInt(id), accessToken }, keyText };
}

/** Some programs escape what needs no escaping. */
function decode(fragment: string): string {
    try {
        return decodeURIComponent(fragment);
    } catch {
        return fragment;
    }
}

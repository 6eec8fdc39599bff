// Links: `/m/<id>#<token>` for a text, `/m/<id>#<token>.<key>` for content that was encrypted in a browser. Browsers do
// not send the part behind the `#`.

import type { MessageRef } from "./api/messages.ts";

/** The parts of a link, before they are verified. */
export interface Link {
    messageRef: MessageRef;
    /** The key of sealed content with its checksum; empty if there is none. */
    keyText: string;
}

/** Returns the link to a message on this site. */
export function linkTo({ id, accessToken }: MessageRef, keyText: string): string {
    return `${location.origin}/m/${id}#${accessToken}${keyText && `.${keyText}`}`;
}

/** Parses an address, or returns its error. Ignores spaces, which some chat programs insert. */
export function parseLink(address: { pathname: string; hash: string }): Link | "incomplete" | "mistyped" {
    const id = /^\/m\/([1-9][0-9]{0,18})\/?$/.exec(address.pathname)?.[1];
    if (id === undefined || BigInt(id) >= 2n ** 63n) return "mistyped";
    const fragment = decodeFragment(address.hash.slice(1)).replaceAll(/\s/g, "");
    const [, accessToken, keyText = ""] = /^([0-9a-f]{64})(?:\.([^.]*))?\.?$/.exec(fragment) ?? [];
    if (accessToken === undefined) return fragment.length < 64 ? "incomplete" : "mistyped";
    return { messageRef: { id: BigInt(id), accessToken }, keyText };
}

/** Decodes the fragment: some programs escape characters in it. */
function decodeFragment(fragment: string): string {
    try {
        return decodeURIComponent(fragment);
    } catch {
        return fragment;
    }
}

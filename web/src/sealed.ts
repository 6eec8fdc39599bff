// Sealed content: a text that is encrypted in the browser. `docs/sealed.md` specifies the format and has test vectors.
//
// Each message has a new key and nonce for AES-256-GCM. The text is padded to a size class, so the ciphertext reveals
// only a rough length. The link has the key behind its `#`, with a checksum over the link. So a key that is mistyped,
// truncated or from another link is detected before the message is read.

/** A key. Each message has a new one. */
export type Key = Uint8Array<ArrayBuffer>;

/** The content cannot be decrypted: it is damaged, has another key, or has a newer format. */
export class DecryptionError extends Error {}

const VERSION = 1;
const KEY_BYTES = 32;
const CHECKSUM_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const LENGTH_BYTES = 4;

/** How many bytes sealed content is longer than its padded text. */
const OVERHEAD = 1 + NONCE_BYTES + TAG_BYTES;
/** By how many bytes the store lets sealed content exceed its limit for texts. */
export const SEALED_OVERHEAD = 256;
/** The smallest size class. It hides the length of passwords and keys. */
const MIN_CLASS = 256;

const TEXT_DOMAIN = new TextEncoder().encode("mayfly browser-sealed text v1");
const KEY_DOMAIN = "mayfly browser-sealed key checksum v1";

/** Returns `true` if the browser can encrypt here: on pages over HTTPS or from this machine. */
export function canSeal(): boolean {
    return globalThis.crypto?.subtle !== undefined;
}

/** Returns a new random key. */
export function generateKey(): Key {
    return crypto.getRandomValues(new Uint8Array(KEY_BYTES));
}

/** Seals `text` with `key` for a store with a limit of `limit` bytes. Use each key once. */
export async function seal(text: string, key: Key, limit: number): Promise<Uint8Array<ArrayBuffer>> {
    return sealWith(text, key, limit, crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
}

/** Seals with a given nonce, for test vectors. A nonce must never be used twice with one key. */
export async function sealWith(
    text: string,
    key: Key,
    limit: number,
    nonce: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
    const algorithm = { name: "AES-GCM", iv: nonce, additionalData: TEXT_DOMAIN };
    const padded = pad(new TextEncoder().encode(text), limit);
    const ciphertext = await crypto.subtle.encrypt(algorithm, await importKey(key, "encrypt"), padded);
    padded.fill(0);
    return concat(Uint8Array.of(VERSION), nonce, new Uint8Array(ciphertext));
}

/** Opens sealed content, or throws `DecryptionError`. */
export async function open(sealed: Uint8Array<ArrayBuffer>, key: Key): Promise<string> {
    if (sealed[0] !== VERSION || sealed.length < OVERHEAD + LENGTH_BYTES) throw new DecryptionError("no sealed text");
    const nonce = sealed.slice(1, 1 + NONCE_BYTES);
    const ciphertext = sealed.slice(1 + NONCE_BYTES);
    const algorithm = { name: "AES-GCM", iv: nonce, additionalData: TEXT_DOMAIN };
    const cryptoKey = await importKey(key, "decrypt");
    const padded = await crypto.subtle.decrypt(algorithm, cryptoKey, ciphertext).catch(() => {
        throw new DecryptionError("damaged, or sealed with another key");
    });
    return unpad(new Uint8Array(padded));
}

/** Encodes the key for the link of this message: 48 characters. */
export async function keyToText(key: Key, id: bigint, accessToken: string): Promise<string> {
    return toBase64Url(concat(key, await checksum(key, id, accessToken)));
}

/** Decodes the key in the link of this message. Returns `undefined` if it is incomplete or from another link. */
export async function keyFromText(text: string, id: bigint, accessToken: string): Promise<Key | undefined> {
    const bytes = fromBase64Url(text);
    if (bytes?.length !== KEY_BYTES + CHECKSUM_BYTES) return undefined;
    const key = bytes.slice(0, KEY_BYTES);
    const expected = await checksum(key, id, accessToken);
    return expected.every((byte, index) => byte === bytes[KEY_BYTES + index]) ? key : undefined;
}

async function checksum(key: Key, id: bigint, accessToken: string): Promise<Uint8Array<ArrayBuffer>> {
    const bound = concat(new TextEncoder().encode(`${KEY_DOMAIN}\n${id}:${accessToken}\n`), key);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bound)).slice(0, CHECKSUM_BYTES);
}

function importKey(key: Key, use: KeyUsage): Promise<CryptoKey> {
    return crypto.subtle.importKey("raw", key, "AES-GCM", false, [use]);
}

/** Returns `length (4 bytes, big-endian) ‖ text ‖ zeros`, padded to its size class or the store's limit. */
function pad(text: Uint8Array<ArrayBuffer>, limit: number): Uint8Array<ArrayBuffer> {
    const length = LENGTH_BYTES + text.length;
    const padded = new Uint8Array(Math.max(length, Math.min(sizeClass(length), limit + SEALED_OVERHEAD - OVERHEAD)));
    new DataView(padded.buffer).setUint32(0, text.length);
    padded.set(text, LENGTH_BYTES);
    return padded;
}

function unpad(padded: Uint8Array<ArrayBuffer>): string {
    const length = new DataView(padded.buffer).getUint32(0);
    if (length > padded.length - LENGTH_BYTES) throw new DecryptionError("no padded text");
    const text = padded.slice(LENGTH_BYTES, LENGTH_BYTES + length);
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
    } catch {
        throw new DecryptionError("not UTF-8");
    } finally {
        padded.fill(0);
    }
}

/**
 * Returns the size class: 256 bytes, then the Padmé classes (Nikitin et al., "Reducing Metadata Leakage from Encrypted
 * Files and Communication with PURBs", 2019). They cost at most 12 % and reveal O(log log length) bits of the length.
 */
function sizeClass(length: number): number {
    if (length <= MIN_CLASS) return MIN_CLASS;
    const exponent = Math.floor(Math.log2(length));
    const keptBits = Math.floor(Math.log2(exponent)) + 1;
    const step = 2 ** (exponent - keptBits);
    return Math.ceil(length / step) * step;
}

function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let end = 0;
    for (const part of parts) {
        whole.set(part, end);
        end += part.length;
    }
    return whole;
}

function toBase64Url(bytes: Uint8Array): string {
    return btoa(String.fromCharCode(...bytes))
        .replaceAll("+", "-")
        .replaceAll("/", "_");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
    if (!/^(?:[A-Za-z0-9_-]{4})*$/.test(text)) return undefined;
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

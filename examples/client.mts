// Creates a message over REST and reads it. Retries are idempotent: each call has its own key.
//
//   npx tsx examples/client.mts http://127.0.0.1:8001 'my password'

interface Message {
    id: number;
    access_token: string;
}

const pause = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Returns the response of a call, which may be repeated until its response arrives. */
async function call<Response>(url: string, path: string, fields: object, tries = 5): Promise<Response> {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
    const request = { method: "POST", headers, body: JSON.stringify(fields) };
    for (let attempt = 1; ; attempt += 1) {
        let response;
        try {
            response = await fetch(`${url}/api/v1/${path}`, { ...request, signal: AbortSignal.timeout(10_000) });
        } catch (error) {
            if (attempt === tries) throw error;
            await pause(2 ** attempt / 8);
            continue;
        }
        if (response.status === 204) throw new Error("there is no unread message with this id and token");
        if (response.ok) return (await response.json()) as Response;
        if (![429, 503].includes(response.status) || attempt === tries) {
            const { detail } = (await response.json()) as { detail: string };
            throw new Error(detail);
        }
        await pause(Number(response.headers.get("Retry-After") ?? 1));
    }
}

const [url = "", text = ""] = process.argv.slice(2);
const { id, access_token } = await call<Message>(url, "create_message", { text, ttl: 3600 });
console.log((await call<{ text: string }>(url, "view_message", { id, access_token })).text);

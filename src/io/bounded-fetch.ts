// `fetch` for libraries that are handed one, to services of others: a whole answer of bounded size within a time limit.
// Never follows a redirect, whatever it is asked.

export type BoundedFetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body?: unknown
  },
) => Promise<Response>

/** @param bytesMax of an answer's body; more reject. */
export function boundedFetch(timeoutMs: number, bytesMax: number): BoundedFetch {
  return async (url, { method, headers, body }) => {
    const answer = await fetch(url, {
      method,
      headers,
      ...(body === undefined || body === null ? {} : { body: body as string | URLSearchParams }),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const bytes = await wholeBody(answer, bytesMax)
    const bodiless = answer.status === 204 || answer.status === 304
    return new Response(bodiless ? null : bytes, { status: answer.status, headers: answer.headers })
  }
}

async function wholeBody(answer: Response, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of answer.body ?? []) {
    bytes += part.byteLength
    if (bytes > bytesMax) throw new Error(`the answer has more than ${bytesMax} bytes`)
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}

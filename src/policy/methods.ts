// Classes of HTTP methods, RFC 9110 9.2: safe (9.2.1) and idempotent (9.2.2). Unknown methods are neither.

const safe: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'REPORT',
  'SEARCH',
  'QUERY',
])
const idempotent: ReadonlySet<string> = new Set([
  'PUT',
  'DELETE',
  'MKCOL',
  'COPY',
  'MOVE',
  'PROPPATCH',
  'UNLOCK',
])

/** Asks for nothing but an answer: GET, HEAD, OPTIONS, TRACE and registered ones like QUERY. Case matters. */
export function isSafeMethod(method: string): boolean {
  return safe.has(method)
}

/** Doing it twice leaves what doing it once leaves; every safe method is. */
export function isIdempotentMethod(method: string): boolean {
  return safe.has(method) || idempotent.has(method)
}

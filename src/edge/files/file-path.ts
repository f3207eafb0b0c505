// From a request's path to a name under the root, or nothing. Decodes once, after the routes have matched the very same
// text; refuses everything that could mean another place to a file system: empty and dot segments, encoded slashes,
// backslashes, control characters, names that some systems cut (`a.`, `a `), bytes that are not UTF-8. Never touches a disk.

/** Bytes of one name, and of the whole: what Linux takes, so that a longer one costs no system call. */
const nameBytesMax = 255
const pathBytesMax = 3_000

const plain = /^(?:\/[A-Za-z0-9_~][A-Za-z0-9_~-]*(?:\.[A-Za-z0-9_~-]+)*)+\/?$/

/**
 * The name under the root, beginning with a slash and ending with one where the path does: `/css/site.css`, `/docs/`.
 * Null: nothing may be there. '' and '/' are the root itself.
 * @param rest the normalised path without the route's prefix: '' or beginning with a slash
 */
export function filePathOf(rest: string, dotFiles: boolean): string | null {
  if (rest === '' || rest === '/') return rest
  if (rest.length > pathBytesMax * 3) return null
  const decoded = plain.test(rest) ? rest : decodedPath(rest)
  if (decoded === null) return null
  const names = decoded.split('/')
  const last = names.length - 1
  for (let i = 1; i <= last; i++) {
    const name = names[i] as string
    if (name === '' ? i < last : !isName(name, dotFiles)) return null
  }
  return names[0] === '' && decoded.length <= pathBytesMax ? decoded : null
}

function decodedPath(rest: string): string | null {
  // An encoded slash is no separator (RFC 3986 2.2), and no name has a slash in it.
  if (/%2f|%5c|%00/i.test(rest)) return null
  try {
    // Refuses broken encodings, overlong forms and surrogates.
    return decodeURIComponent(rest)
  } catch {
    return null
  }
}

const forbidden = /[\u0000-\u001f\u007f-\u009f\\\u2028\u2029\ufffe\uffff]|[. ]$/

function isName(name: string, dotFiles: boolean): boolean {
  if (name === '.' || name === '..' || forbidden.test(name)) return false
  // RFC 8615: well-known places are meant to be found.
  if (name.startsWith('.') && !dotFiles && name !== '.well-known') return false
  return (
    name.length <= nameBytesMax &&
    (name.length * 3 <= nameBytesMax || Buffer.byteLength(name) <= nameBytesMax)
  )
}

/** Is the real path the root or below it? Both without links. */
export function isInside(real: string, root: string): boolean {
  if (root === '/' || real === root) return true
  return real.startsWith(root) && real.charCodeAt(root.length) === 47
}

/** The last part is a hash of the content: hexadecimal with digits and letters, or eight of base64url as bundlers write it. */
export function hasContentHash(name: string): boolean {
  const hash = /[-._]([A-Za-z0-9_-]{6,64})\.[a-z0-9]+(?:\.map)?$/.exec(name)?.[1]
  if (hash === undefined) return false
  const last = hash.slice(hash.lastIndexOf('-') + 1)
  const hex = /^[0-9a-f]{6,64}$/.test(last) && /[0-9]/.test(last) && /[a-f]/.test(last)
  if (hex) return true
  const tail = hash.slice(-8)
  return tail.length === 8 && /[0-9]/.test(tail) && /[a-z]/.test(tail) && /[A-Z].*[A-Z]/.test(tail)
}

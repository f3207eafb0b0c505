// Where our own pages may lead: a path on this host and nothing else.

const targetCharsMax = 1_024

/**
 * A path on this host and nothing else: `//host`, `/\host` and control characters lead elsewhere in browsers.
 * @param target path and query as forwarded.
 */
export function safeTarget(target: string): string {
  return target.length <= targetCharsMax && /^\/(?![/\\])[\x21-\x7e]*$/.test(target) ? target : '/'
}

/** The page that sent a form, where it is one of ours. */
export function refererTarget(referer: string | undefined, authority: string): string {
  const match = /^https?:\/\/([^/?#]+)(\/[^#]*)?/i.exec(referer ?? '')
  if (match === null || match[1]?.toLowerCase() !== authority.toLowerCase()) return '/'
  return safeTarget(match[2] ?? '/')
}

// What the keys of `guard.identity` are made of: addresses that are safe to ask, origins, places where credentials stand.

import type { CheckedCredentialPlace } from './checked-guard.ts'
import { either, into, listOf } from './shapes.ts'
import { leaf, Refused, type Schema, token } from './values.ts'

export const onLoopback = (url: string): boolean =>
  /^http:\/\/(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\])(?::\d{1,5})?(?:\/|$)/.test(url)

/** Keys that come in the clear can be anybody's. */
export function safeUrl(about: string, example: string): Schema<string> {
  return leaf<string>({
    about,
    allowed: `a URL that begins with https:// (http:// on loopback), such as '${example}', of at most 2048 characters`,
    json: { type: 'string', maxLength: 2048, pattern: '^https?://' },
    parse: value => {
      if (typeof value !== 'string' || value.length > 2048) return undefined
      if (!/^https?:\/\/[^\s/?#@]+(?:\/[!-~]*)?$/.test(value) || !URL.canParse(value)) return undefined
      if (value.includes('#')) return new Refused('has a fragment', 'Leave out # and what follows it.')
      if (value.startsWith('http:') && !onLoopback(value))
        return new Refused('is in the clear on another machine', 'Write https://.')
      return value
    },
  })
}

/** Scheme, host and port as browsers write them (RFC 6454 6.2). */
function originIn(about: string, isAllowed: (origin: string) => boolean): Schema<string> {
  return leaf<string>({
    about,
    allowed: "an origin such as 'https://shop.example', of at most 300 characters",
    json: { type: 'string', maxLength: 300, pattern: '^[A-Za-z]+://[^/\\s]+/?$' },
    parse: value => {
      if (typeof value !== 'string' || value.length > 300 || !/^https?:\/\/[^\s/?#@]+\/?$/i.test(value))
        return undefined
      if (!URL.canParse(value)) return undefined
      const { origin } = new URL(value)
      return isAllowed(origin) ? origin : new Refused('is in the clear on another machine', 'Write https://.')
    },
  })
}

export const safeOrigin = (about: string): Schema<string> =>
  originIn(about, origin => origin.startsWith('https:') || onLoopback(origin))

export const anyOrigin = (about: string): Schema<string> => originIn(about, () => true)

export const credentialPlace: Schema<CheckedCredentialPlace> = leaf<CheckedCredentialPlace>({
  about: 'Where the credential stands: `bearer` is `Authorization: Bearer ...`.',
  allowed: "'bearer', 'cookie:NAME' or 'header:NAME', of at most 200 characters",
  json: { type: 'string', minLength: 1, maxLength: 200 },
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a type.
  type: "'bearer' | `cookie:${string}` | `header:${string}`",
  parse: value => {
    if (typeof value !== 'string' || value.length > 200) return undefined
    if (value === 'bearer') return { by: 'bearer' }
    const [, by, name = ''] = /^(cookie|header):(.*)$/.exec(value) ?? []
    if (by === undefined) {
      if (/^query(?::|$)/.test(value))
        return new Refused('is in the address, which logs and histories keep', "Write 'bearer'.")
      return undefined
    }
    if (!token.test(name)) return new Refused(name === '' ? 'has no name' : `names no ${by}`)
    if (by === 'cookie') return { by, name }
    const lower = name.toLowerCase()
    if (lower === 'authorization' || lower === 'cookie')
      return new Refused(
        `is the whole field ${name}`,
        lower === 'cookie' ? "Write 'cookie:NAME'." : "Write 'bearer'.",
      )
    return { by: 'header', name: lower }
  },
})

export const placeText = (place: CheckedCredentialPlace): string =>
  'name' in place ? `${place.by}:${place.name}` : place.by

export const oneOrMore = <T>(about: string, one: Schema<T>, most: number): Schema<readonly T[]> =>
  either(
    about,
    into(one, item => [item] as readonly T[]),
    into(listOf('Several.', one, most, 1), list => [...new Set(list)]),
  )

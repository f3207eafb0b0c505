// Messages for tests of the HTTP cache's policies.

import { parseHttpDate } from '../../../wire/http-date.ts'
import type {
  CacheRules,
  Fields,
  FreshnessMeta,
  KeyRules,
  RequestDirectives,
  StorageQuestion,
} from '../contract.ts'

/** Values of one name are joined as a head joins them; names of any case. */
export function fields(...pairs: readonly (readonly [string, string])[]): Fields {
  return {
    find: name => {
      const values = pairs.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value)
      return values.length === 0 ? undefined : values.join(', ')
    },
  }
}

/** Of field lines as they are stored. */
export function fieldsOf(text: string): Fields {
  const lines = text.split('\r\n').filter(line => line !== '')
  return fields(
    ...lines.map(
      line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const,
    ),
  )
}

export const plainRules: CacheRules = {
  immutable: false,
  heuristics: false,
  stripCookies: false,
  refreshAhead: 0,
}
export const plainKey: KeyRules = { query: 'all', headers: [], cookies: [], device: false, languages: [] }

/** Wall time of tests: Sun, 06 Nov 1994 08:49:37 GMT. */
export const wallSeconds = 784_111_777
export const now = 'Sun, 06 Nov 1994 08:49:37 GMT'
export const httpDateAt = (seconds: number): string => new Date((wallSeconds + seconds) * 1_000).toUTCString()

export function question(
  response: readonly (readonly [string, string])[],
  more: Partial<Omit<StorageQuestion, 'rules' | 'response'>> & { readonly rules?: Partial<CacheRules> } = {},
): StorageQuestion {
  return {
    method: 'GET',
    request: fields(),
    status: 200,
    key: plainKey,
    requestAtUs: 1_000_000,
    responseAtUs: 1_000_000,
    wallSeconds,
    readDate: parseHttpDate,
    ...more,
    response: fields(...response),
    rules: { ...plainRules, ...more.rules },
  }
}

export const nothingAsked: RequestDirectives = {
  flags: 0,
  maxAgeSeconds: -1,
  maxStaleSeconds: -1,
  minFreshSeconds: -1,
}

/** Came at 0, fresh for 100 s. */
export const freshMeta = (more: Partial<FreshnessMeta> = {}): FreshnessMeta => ({
  status: 200,
  receivedAtUs: 0,
  initialAgeUs: 0,
  freshForUs: 100_000_000,
  staleWhileRevalidateUs: 0,
  staleIfErrorUs: 0,
  flags: 0,
  ...more,
})

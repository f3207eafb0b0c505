// Nobody gets an answer that was meant for another: a small cache made of the policies alone stands before origins that
// answer differently by whatever they are told (published cases of cache poisoning and cache deception among them), and
// random requests go through it. What is served from the store must be what the origin would have said to this request.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CacheRules, type Fields, type KeyRules, Reuse } from './contract.ts'
import { requestDirectives } from './directives.ts'
import { compileKey } from './key.ts'
import { unkeyedFields } from './request.ts'
import { judgeReuse } from './reuse.ts'
import { judgeStorage } from './storage.ts'
import { fields, plainKey, question } from './testing/fields.ts'
import { varyText } from './vary.ts'

type Pairs = readonly (readonly [string, string])[]

interface Asked {
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly query: string
  readonly pairs: Pairs
  readonly body: string
}

interface Answer {
  readonly pairs: Pairs
  readonly body: string
}
type Origin = (asked: Asked) => Answer

// --- requests: a small world, so that keys meet

const maybe = (name: string, ...values: readonly string[]): fc.Arbitrary<Pairs> =>
  fc
    .option(fc.constantFrom(...values), { freq: 2 })
    .map(value => (value === null ? [] : [[name, value] as const]))

const cookieLines: fc.Arbitrary<Pairs> = fc
  .array(
    fc.constantFrom(
      'id=ann',
      'id=bob',
      'theme=dark',
      'theme=light',
      'x=1; theme=dark',
      'id=ann; theme=light',
    ),
    {
      maxLength: 2,
    },
  )
  .map(lines => lines.map(line => ['Cookie', line] as const))

const requests: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'),
  authority: fc.constantFrom(
    'shop.example',
    'SHOP.example',
    'shop.example:80',
    'shop.example:1337',
    'evil.example',
  ),
  path: fc.constantFrom(
    '/',
    '/account',
    '/account/x.css',
    '/account;x.css',
    '/account%2fx.css',
    '/account%00.css',
  ),
  query: fc
    .array(
      fc.constantFrom(
        'page=1',
        'page=2',
        '%70age=2',
        'PAGE=3',
        'page[]=4',
        'utm_source=a',
        'utm_source=b',
        'utm_source=x;page=9',
        'x=1;page=8',
        'x=1',
      ),
      { maxLength: 3 },
    )
    .map(parts => (parts.length === 0 ? '' : `?${parts.join('&')}`)),
  pairs: fc
    .tuple(
      cookieLines,
      maybe('Authorization', 'Basic YTpi', 'Bearer b'),
      maybe('X-Forwarded-Host', 'evil.example'),
      maybe('X-Forwarded-Scheme', 'http'),
      maybe('X-Original-URL', '/admin'),
      maybe('X-Rewrite-URL', '/admin'),
      maybe('X-Host', 'evil.example'),
      maybe('X-HTTP-Method-Override', 'POST', 'DELETE'),
      maybe('Accept-Language', 'en, de', 'de', 'de;q=0.5, en', 'fr'),
      maybe('X-Plan', 'gold', 'free'),
      maybe('Cache-Control', 'max-stale=99999', 'no-cache', 'only-if-cached', 'max-age=0'),
    )
    .map(parts => parts.flat()),
  body: fc.constantFrom('', '', '', 'page=7'),
})

// --- origins

const value = (pairs: Pairs, name: string): string => fields(...pairs).find(name) ?? '-'

/** As lenient frameworks do: parts at `&` and `;`, names decoded and folded, brackets cut. */
function parameters(query: string, but: readonly string[]): string {
  return query
    .slice(1)
    .split(/[&;]/)
    .filter(part => part !== '')
    .map(part => {
      const [name = '', text = ''] = part.split('=')
      return `${decodeURIComponent(name).replace('[]', '').toLowerCase()}=${text}`
    })
    .filter(part => !but.some(name => part.startsWith(`${name}=`)))
    .sort()
    .join('&')
}

const host = (authority: string): string => authority.toLowerCase().replace(/:80$/, '')

/** Believes every field that some framework believes, and a body of a GET. */
function target({ method, authority, path, query, pairs, body }: Asked, but: readonly string[]): string {
  const misled = ['x-host', 'x-forwarded-scheme', 'x-original-url', 'x-rewrite-url', 'x-http-method-override']
  const believed = misled.map(name => value(pairs, name)).join(' ')
  const verb = method === 'HEAD' ? 'GET' : method
  return `${verb} ${host(authority)} ${path} ${parameters(query, but)} ${believed} ${body}`
}

interface Scene {
  readonly name: string
  readonly rules: Partial<CacheRules>
  readonly key: Partial<KeyRules>
  readonly origin: Origin
}

const answer = (control: string | null, body: string, ...more: Pairs): Answer => ({
  pairs: [...(control === null ? [] : [['Cache-Control', control] as const]), ...more],
  body,
})
const old: readonly [string, string] = ['Last-Modified', 'Sun, 06 Nov 1983 08:49:37 GMT']
const user = (pairs: Pairs): string => value(pairs, 'cookie')
const all: readonly string[] = []

const scenes: readonly Scene[] = [
  {
    name: 'a page for all, by its whole target',
    rules: {},
    key: {},
    origin: asked => answer('max-age=60', target(asked, all)),
  },
  {
    name: 'a page for all, under a rule',
    rules: { ttlMs: 60_000 },
    key: {},
    origin: asked => answer(null, target(asked, all)),
  },
  {
    name: 'a page by one parameter, named by the operator',
    rules: { ttlMs: 60_000 },
    key: { query: { only: ['page'] } },
    origin: asked => answer(null, target(asked, ['x', 'utm_source'])),
  },
  {
    name: 'a page by all parameters but one, named by the operator',
    rules: { ttlMs: 60_000 },
    key: { query: { except: ['utm_source'] } },
    origin: asked => answer(null, target(asked, ['utm_source'])),
  },
  {
    name: "a user's page, private",
    rules: { staleIfErrorMs: 60_000 },
    key: {},
    origin: asked => answer('private, max-age=60', target(asked, all) + user(asked.pairs)),
  },
  {
    name: "a user's page, private, under a rule",
    rules: { ttlMs: 60_000 },
    key: {},
    origin: asked => answer('private', target(asked, all) + user(asked.pairs)),
  },
  {
    name: "a user's page, nothing said, guesses on",
    rules: { heuristics: true },
    key: {},
    origin: asked => answer(null, target(asked, all) + user(asked.pairs), old),
  },
  {
    name: "a user's page under a path that looks like a file (cache deception)",
    rules: {},
    key: {},
    origin: asked => answer(null, target(asked, all) + user(asked.pairs), ['Content-Type', 'text/css']),
  },
  {
    name: "a user's page that varies by Cookie",
    rules: {},
    key: {},
    origin: asked => answer('max-age=60', target(asked, all) + user(asked.pairs), ['Vary', 'Cookie']),
  },
  {
    name: "a user's page that sets a cookie",
    rules: { ttlMs: 60_000 },
    key: {},
    origin: asked => answer('max-age=60', target(asked, all) + user(asked.pairs), ['Set-Cookie', 'id=new']),
  },
  {
    name: "a user's page, stored by a part of its cookies and validated always",
    rules: {},
    key: {},
    origin: asked => answer('no-cache', target(asked, all) + user(asked.pairs), ['ETag', '"a"']),
  },
  {
    name: 'a page behind Authorization',
    rules: {},
    key: {},
    origin: asked => {
      const who = value(asked.pairs, 'authorization')
      // Strangers are told so in an answer that nobody may keep.
      return answer(who === '-' ? 'no-store' : 'max-age=60', target(asked, all) + who)
    },
  },
  {
    name: 'a page behind Authorization, under a rule',
    rules: { ttlMs: 60_000 },
    key: {},
    origin: asked => {
      const who = value(asked.pairs, 'authorization')
      return answer(who === '-' ? 'no-store' : null, target(asked, all) + who)
    },
  },
  {
    name: 'a page in languages, by Vary',
    rules: {},
    key: {},
    origin: asked =>
      answer('max-age=60', target(asked, all) + languages(asked.pairs), ['Vary', 'Accept-Language']),
  },
  {
    name: 'a page by theme and plan, as the operator says',
    rules: { ttlMs: 60_000 },
    key: { headers: ['x-plan'], cookies: ['theme'] },
    origin: asked => answer(null, target(asked, all) + themes(asked.pairs) + value(asked.pairs, 'x-plan')),
  },
  {
    name: 'a page that varies by anything',
    rules: { ttlMs: 60_000 },
    key: {},
    origin: asked => answer('max-age=60', target(asked, all) + user(asked.pairs), ['Vary', 'X, *']),
  },
]

/** What equal weights mean: their order does not count. */
const languages = (pairs: Pairs): string =>
  value(pairs, 'accept-language')
    .split(',')
    .map(one => one.trim())
    .sort()
    .join()
/** Reads each line by itself, first theme first. */
const themes = (pairs: Pairs): string =>
  pairs
    .filter(([name]) => name === 'Cookie')
    .flatMap(([, text]) => text.split(';'))
    .map(one => one.trim())
    .filter(one => one.startsWith('theme='))
    .join()

// --- the cache

interface Entry {
  readonly judged: ReturnType<typeof judgeStorage>
  readonly body: string
}

/** As the edge's gate has it: no key has a body. */
const goesPast = ({ method, body }: Asked): boolean => (method !== 'GET' && method !== 'HEAD') || body !== ''

class SmallCache {
  readonly #scene: Scene
  readonly #rules: CacheRules
  readonly #keyRules: KeyRules
  /** By primary key: the last names of Vary, then answers by secondary key. */
  readonly #stored = new Map<string, { vary: readonly string[]; entries: Map<string, Entry> }>()
  hits = 0

  constructor(scene: Scene) {
    this.#scene = scene
    this.#rules = {
      immutable: false,
      heuristics: false,
      stripCookies: false,
      refreshAhead: 0,
      ...scene.rules,
    }
    this.#keyRules = { ...plainKey, ...scene.key }
  }

  serve(asked: Asked): string {
    const request = fields(...asked.pairs)
    if (goesPast(asked)) return this.#scene.origin(asked).body
    const key = compileKey(this.#keyRules).text(false, asked.authority, asked.path, asked.query, request)
    const found = key === null ? undefined : this.#find(key, request)
    if (found !== undefined) {
      this.hits++
      return found.body
    }
    return this.#forward(key, asked)
  }

  #find(key: string, request: Fields): Entry | undefined {
    const slot = this.#stored.get(key)
    const variant = slot === undefined ? null : varyText(slot.vary, request)
    const entry = variant === null ? undefined : slot?.entries.get(variant)
    if (entry === undefined) return undefined
    const directives = requestDirectives(request, this.#rules)
    const code = judgeReuse(entry.judged, 2_000_000, directives, false, 0, 0)
    return code === Reuse.validate || code === Reuse.gatewayTimeout ? undefined : entry
  }

  #forward(key: string | null, asked: Asked): string {
    const sent = this.forwarded(asked)
    const { pairs, body } = this.#scene.origin(sent)
    const request = fields(...sent.pairs)
    const judged = judgeStorage(question(pairs, { request, rules: this.#rules, key: this.#keyRules }))
    if (key === null || !judged.store) return body
    const slot = this.#stored.get(key)
    const entries = slot !== undefined && slot.vary.join() === judged.vary.join() ? slot.entries : new Map()
    entries.set(varyText(judged.vary, request) ?? '', { judged, body })
    this.#stored.set(key, { vary: judged.vary, entries })
    return body
  }

  /** As the edge sends it on. */
  forwarded(asked: Asked): Asked {
    if (goesPast(asked)) return asked
    // X-Forwarded-Host is the edge's own: what a client sends there is replaced.
    const dropped = new Set([...unkeyedFields(this.#keyRules), 'x-forwarded-host'])
    return { ...asked, pairs: asked.pairs.filter(([name]) => !dropped.has(name.toLowerCase())) }
  }
}

for (const scene of scenes) {
  test(`whoever asks gets his own answer: ${scene.name}`, () => {
    fc.assert(
      fc.property(fc.array(requests, { minLength: 2, maxLength: 20 }), sequence => {
        const cache = new SmallCache(scene)
        for (const asked of sequence) {
          assert.equal(cache.serve(asked), scene.origin(cache.forwarded(asked)).body)
        }
      }),
      { numRuns: 120 },
    )
  })
}

test('the small cache does serve from its store: the property is not held by storing nothing', () => {
  const shared = scenes.filter(({ name }) => /for all|operator|languages|varies by Cookie/.test(name))
  assert.ok(shared.length >= 6)
  for (const scene of shared) {
    const cache = new SmallCache(scene)
    const asked: Asked = { method: 'GET', authority: 'a', path: '/', query: '?page=1', pairs: [], body: '' }
    cache.serve(asked)
    cache.serve(asked)
    assert.equal(cache.hits, 1, scene.name)
  }
})

test('a stored answer with a cookie never reaches who sends max-stale (CVE-2026-93748)', () => {
  const cache = new SmallCache({
    name: 'CVE',
    rules: {},
    key: {},
    origin: ({ pairs }) =>
      answer('max-age=0, s-maxage=0, proxy-revalidate', user(pairs), ['Set-Cookie', 'id=ann']),
  })
  const asked = (pairs: Pairs): Asked => ({
    method: 'GET',
    authority: 'a',
    path: '/',
    query: '',
    pairs,
    body: '',
  })
  assert.equal(cache.serve(asked([['Cookie', 'id=ann']])), 'id=ann')
  const bob = asked([
    ['Cookie', 'id=bob'],
    ['Cache-Control', 'max-stale=99999'],
  ])
  assert.equal(cache.serve(bob), 'id=bob')
  assert.equal(cache.hits, 0)
})

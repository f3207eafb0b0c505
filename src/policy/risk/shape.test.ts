import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentOf } from './agent.ts'
import { riskAnswer, riskAnswerOf } from './answer.ts'
import { reasonsOf, riskBit, riskMax, riskOf, riskReasons } from './reasons.ts'
import { type RequestShape, shapeRisk } from './shape.ts'
import { tlsFit, tlsFitOf } from './tls.ts'

const chrome = agentOf('Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36')
const firefox = agentOf('Mozilla/5.0 (X11; rv:145.0) Gecko/20100101 Firefox/145.0')
const safari = agentOf('Mozilla/5.0 (Macintosh) Version/18.1 Safari/605.1.15')
const chromeJa4 = 't13d1517h2_8daaf6152771_cb7bf5808d99'
const curlJa4 = 't13d3112h2_e8f1e7e78f70_b26ce05bbdd6'

/** A navigation of Chromium over HTTP/2, with changes. */
function shape(change: Partial<RequestShape> = {}): RequestShape {
  return {
    agent: chrome,
    httpVersion: '2.0',
    secure: true,
    preflight: false,
    proxied: false,
    ja4: chromeJa4,
    upgrading: false,
    agentAt: 3,
    acceptAt: 4,
    encodingAt: 9,
    languageAt: 10,
    originAt: -1,
    capitals: false,
    fetchSite: 'none',
    fetchMode: 'navigate',
    fetchDest: 'document',
    fetchUser: '?1',
    hints: '"Chromium";v="156", "Not A Brand";v="24"',
    ...change,
  }
}

const names = (change: Partial<RequestShape>): string[] =>
  reasonsOf(shapeRisk(shape(change))).map(({ name }) => name)

test('a browser as it is has nothing against it', () => {
  assert.deepEqual(names({}), [])
  const wordy = {
    agent: firefox,
    hints: '',
    languageAt: 5,
    encodingAt: 6,
    ja4: 't13d1717h2_5b57614c22b0_3cbfd9057e0d',
  }
  assert.deepEqual(names(wordy), [])
  assert.deepEqual(names({ agent: safari, hints: '', ja4: 't13d2014h2_a09f3c656075_e42f34c56612' }), [])
  // Over plain HTTP a browser sends neither hints nor fetch metadata.
  const plain = {
    secure: false,
    ja4: '',
    hints: '',
    fetchSite: '',
    fetchMode: '',
    fetchDest: '',
    fetchUser: '',
  }
  assert.deepEqual(names({ ...plain, httpVersion: '1.1', capitals: true }), [])
})

test('each thing that the claimed browser would not do is one reason', () => {
  const cases: readonly [Partial<RequestShape>, string][] = [
    [{ hints: '' }, 'no-hints'],
    [{ fetchSite: '', fetchMode: '', fetchDest: '', fetchUser: '' }, 'no-fetch-metadata'],
    [{ hints: '"Chromium";v="120"' }, 'hints-disagree'],
    [{ fetchDest: 'empty' }, 'impossible-fetch-metadata'],
    [{ fetchMode: 'cors', fetchUser: '?1', fetchDest: 'empty' }, 'impossible-fetch-metadata'],
    [{ acceptAt: -1 }, 'no-accept'],
    [{ languageAt: -1 }, 'no-language'],
    [{ encodingAt: -1 }, 'no-encoding'],
    [{ encodingAt: 10, languageAt: 9 }, 'field-order'],
    [{ httpVersion: '1.1' }, 'field-case'],
    [{ httpVersion: '1.0', capitals: true }, 'old-protocol'],
    [{ ja4: curlJa4 }, 'tls-of-another'],
    [{ ja4: 't12d1517h2_8daaf6152771_cb7bf5808d99' }, 'tls-of-another'],
    [{ ja4: 't13d1517h1_8daaf6152771_cb7bf5808d99' }, 'tls-without-protocols'],
    [{ agent: agentOf('') }, 'no-agent'],
    [{ agent: agentOf('curl/8') }, 'tool-agent'],
  ]
  for (const [change, reason] of cases) assert.deepEqual(names(change), [reason], JSON.stringify(change))
  assert.deepEqual(names({ agent: firefox, languageAt: 5, encodingAt: 6 }), ['hints-disagree'])
})

test('a preflight has no hints, a WebSocket neither hints nor Accept but an Origin', () => {
  assert.deepEqual(
    names({ preflight: true, hints: '', fetchMode: 'cors', fetchDest: 'empty', fetchUser: '' }),
    [],
  )
  const socket = {
    upgrading: true,
    acceptAt: -1,
    hints: '',
    fetchSite: '',
    fetchMode: '',
    fetchDest: '',
    fetchUser: '',
  }
  const ja4 = chromeJa4.replace('h2', 'h1')
  assert.deepEqual(names({ ...socket, ja4, originAt: 2 }), [])
  assert.deepEqual(names({ ...socket, ja4 }), ['no-accept'])
})

test('what a trusted proxy may have changed is not judged', () => {
  assert.deepEqual(
    names({ proxied: true, ja4: curlJa4, httpVersion: '1.1', encodingAt: 2, languageAt: 1 }),
    [],
  )
})

test('TLS is judged for versions that are known, and never where nothing is known of it', () => {
  const older = agentOf('Mozilla/5.0 Chrome/60.0 Safari/537.36')
  assert.equal(tlsFitOf(older, 't12d1409h2_0f2cb44170f4_000000000000', false), tlsFit.fits)
  assert.equal(tlsFitOf(older, curlJa4, false), tlsFit.anotherLibrary)
  assert.equal(tlsFitOf(chrome, '', false), tlsFit.fits)
  assert.equal(tlsFitOf(agentOf('curl/8'), curlJa4, false), tlsFit.fits)
})

test('a score is the sum of its reasons, each once, and at most 100', () => {
  assert.equal(new Set(riskReasons.map(({ bit }) => bit)).size, riskReasons.length)
  assert.ok(riskReasons.every(({ bit, points }) => bit > 0 && points > 0 && points <= riskMax))
  assert.equal(riskOf(0), 0)
  assert.equal(riskOf(riskBit['no-agent'] | riskBit['no-encoding']), 35)
  assert.equal(riskOf(riskReasons.reduce((all, { bit }) => all | bit, 0)), 100)
})

test('no single sign of one request reaches a challenge at 50 but a crawler that is none', () => {
  const single = riskReasons.filter(({ points }) => points >= 50).map(({ name }) => name)
  assert.deepEqual(single, ['fake-crawler', 'honeypot', 'honeypot-field'])
})

test('the strictest answer whose threshold is reached counts; no risk is always allowed', () => {
  const at = { slowAt: 40, challengeAt: 50, queueAt: 80, refuseAt: 95 }
  const answers = [0, 39, 40, 49, 50, 79, 80, 94, 95, 100].map(score => riskAnswerOf(score, at))
  const { allow, slow, challenge, queue, refuse } = riskAnswer
  assert.deepEqual(answers, [allow, allow, slow, slow, challenge, challenge, queue, queue, refuse, refuse])
  assert.equal(riskAnswerOf(0, { slowAt: 0, challengeAt: 0, queueAt: 0, refuseAt: 0 }), allow)
  assert.equal(riskAnswerOf(100, { slowAt: 101, challengeAt: 101, queueAt: 101, refuseAt: 101 }), allow)
})

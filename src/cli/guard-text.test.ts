import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuardView } from '../system/index.ts'
import { statusText, verdictText } from './guard-text.ts'

const plain = { paint: (_: string, text: string) => text, columns: 80 }
const until = '2026-01-02T03:04:05.678Z'

const quiet: GuardView = {
  policies: [
    { name: 'pages', passed: 0, refused: 0, answered: 0, left: 0 },
    { name: 'login', passed: 0, refused: 0, answered: 0, left: 0 },
  ],
  rules: [],
  closed: { banned: 0, tooMany: 0 },
  rulings: [],
  bans: { count: 0, last: [] },
  audit: { file: '/srv/shop/.tenfold/logs/guard.log', written: 1, sampledOut: 0, dropped: 0, head: null },
  messagesDropped: 0,
  parts: {
    limit: { live: 0, entries: 262_144, foundNoPlace: 0, restored: 0 },
    challenge: { pages: 0, 'failed:spent': 0 },
    room: { queue: null },
  },
}

test('a guard that nobody has met says so in sentences, without rows of zeros', () => {
  assert.equal(
    statusText(quiet, plain),
    `no request has come under: pages, login

no rule has found anything

nobody is banned or allowed by command or rule

audit log: 1 line in /srv/shop/.tenfold/logs/guard.log
limit: 0 of 262144 places count somebody
room: queue (\`tenfold guard rooms\`)`,
  )
})

test('what was found stands in tables of 80 columns, the most frequent rule first, and what was lost is told', () => {
  const reason = 'a reason that somebody wrote at great length because it was late at night'
  const view: GuardView = {
    ...quiet,
    policies: [
      { name: 'pages', passed: 12_041, refused: 12, answered: 0, left: 3 },
      ...quiet.policies.slice(1),
    ],
    rules: [
      { step: 'waf', rule: '942100', refused: 0, detected: 7 },
      { step: 'limit', rule: 'limit:pages', refused: 12, detected: 0 },
    ],
    closed: { banned: 2, tooMany: 0 },
    rulings: [
      { kind: 'ban', block: '192.0.2.0/24', until: null, reason, by: 'operator' },
      { kind: 'allow', block: '198.51.100.7', until, reason: 'ours', by: 'operator' },
    ],
    bans: { count: 900, last: [{ key: '203.0.113.9', until, strikes: 2, reason, by: 'limit:login' }] },
    audit: { ...quiet.audit, written: 19, dropped: 4 },
    messagesDropped: 5,
    parts: { challenge: { pages: 9, 'passed:pow': 8, 'failed:spent': 1 } },
  }
  const text = statusText(view, plain)
  const lines = text.split('\n')
  assert.ok(
    lines.every(line => line.length <= 80),
    text,
  )
  assert.match(text, /^pages +12041 +12 +- +3$/m)
  assert.match(text, /^no request has come under: login$/m)
  assert.match(text, /limit +limit:pages +12 +-\nwaf +942100 +- +7/)
  assert.match(text, /^192\.0\.2\.0\/24 +taken back +operator +a reason that.*…$/m)
  assert.match(text, /^198\.51\.100\.7 \(allowed\) +2026-01-02T03:04:05Z +operator +ours$/m)
  assert.match(text, /^203\.0\.113\.9 +2026-01-02T03:04:05Z +limit:login +a reason/m)
  assert.match(text, /^\.\.\. and 899 more \(--json\)$/m)
  assert.match(text, /closed as they came: 2 of the banned$/m)
  assert.match(text, /^5 messages of workers were lost$/m)
  assert.match(text, /19 lines, 4 lost in/)
  assert.match(text, /^challenge: 9 pages, 8 passed: pow, 1 failed: spent$/m)
  assert.ok(statusText(view, { ...plain, columns: 0 }).includes(reason), 'nothing is cut in a file')
})

test('a log is told to be whole, with the line that had to be there, or line by line what is wrong', () => {
  const hash = 'a'.repeat(64)
  const whole = { files: ['g.log'], lines: 9, chains: 1, open: [], torn: 0, troubles: [] }
  const text = verdictText({ ...whole, head: { hash, at: 'g.log:9' } }, plain)
  assert.equal(
    text,
    '9 lines in 1 file, 1 chain\naaaaaaaaaaaaaaaa is there: g.log:9\nnothing was changed or removed',
  )
  const troubles = [
    { file: 'g.log', line: 3, text: 'does not fit the line before it: one of them was changed' },
  ]
  assert.match(
    verdictText({ ...whole, troubles }, plain),
    /g\.log:3 does not fit.*\nthe log is not as it was written/,
  )
})

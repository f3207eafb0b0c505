import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { guardHandlers } from './guard-handlers.ts'
import { blockText, openRulings, rulingsMax } from './rulings.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tf-rulings-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

test('what is said of a block lasts over restarts, takes the place of what was said before, and ends at its time', t => {
  const folder = folderOf(t)
  let now = 1_000
  const first = openRulings(folder, () => now)
  first.give({ kind: 'ban', block: '192.0.2.77/24', forMs: 500 })
  first.give({ kind: 'allow', block: '192.0.2.0/24', reason: 'ours' })
  first.give({ kind: 'ban', block: '2001:DB8::/32', forMs: 500 })
  const next = openRulings(folder, () => now)
  assert.deepEqual(
    next.current.map(({ kind, block, untilMs, reason }) => [kind, block, untilMs, reason]),
    [
      ['allow', '192.0.2.0/24', 0, 'ours'],
      ['ban', '2001:db8::/32', 1_500, 'asked for by an operator'],
    ],
  )
  now = 1_500
  assert.equal(next.current.length, 1)
  assert.deepEqual([next.takeBack('192.0.2.1/24'), next.takeBack('192.0.2.1/24')], [true, false])
  assert.deepEqual(openRulings(folder).current, [])
  writeFileSync(join(folder, 'guard', 'rulings.json'), '[{"block":')
  assert.deepEqual(openRulings(folder).current, [], 'a damaged file is none')
})

test('a block has one spelling', () => {
  const spellings = {
    '192.0.2.7': '192.0.2.7',
    '192.0.2.7/32': '192.0.2.7',
    '192.0.2.7/0': '0.0.0.0/0',
    '192.0.2.255/25': '192.0.2.128/25',
    '2001:0db8:0:0::9/64': '2001:db8::/64',
    '2001:db8::9/128': '2001:db8::9',
  }
  for (const [text, block] of Object.entries(spellings)) assert.equal(blockText(text), block)
  for (const text of ['', 'ann', '192.0.2.256', '192.0.2.7/33', '2001:db8::/129'])
    assert.throws(() => blockText(text), { code: 'GUARD_RULING_INVALID' })
})

test('what can not last, does not fit, or has no guard to tell is refused with its code', async t => {
  const folder = folderOf(t)
  const rulings = openRulings(folder)
  assert.throws(() => rulings.give({ kind: 'ban', block: '192.0.2.7', forMs: 0 }), {
    code: 'GUARD_RULING_INVALID',
  })
  const full = Array.from({ length: rulingsMax }, (_, i) => ({
    kind: 'ban',
    block: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
    untilMs: 0,
    reason: '',
    by: 'operator',
  }))
  rulings.give({ kind: 'ban', block: '192.0.2.7' })
  writeFileSync(join(folder, 'guard', 'rulings.json'), JSON.stringify(full))
  const filled = openRulings(folder)
  assert.throws(() => filled.give({ kind: 'ban', block: '192.0.2.7' }), { code: 'GUARD_RULINGS_FULL' })
  assert.equal(filled.give({ kind: 'allow', block: '10.0.0.1' }).kind, 'allow', 'in the place of another')
  const unguarded = guardHandlers({
    edge: () => assert.fail('nobody is asked'),
    rulings,
    enabled: () => false,
    auditFile: () => '',
    trustedProxies: () => [],
    filed: () => [],
    publish: async () => {},
    tell: () => {},
  })
  await assert.rejects(unguarded.status(), { code: 'SYSTEM_GUARD_UNASKED' })
  await assert.rejects(unguarded.rule({ kind: 'ban', block: '192.0.2.8' }), { code: 'SYSTEM_GUARD_UNASKED' })
  assert.equal(rulings.current.length, 1, 'and nothing is kept')
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { guardFailures } from '../guard/failures.ts'
import { Failure } from '../kit/failure.ts'
import { parseBlock } from '../policy/address.ts'
import { blockText, openRulings, type Rulings, rulingsMax } from './rulings.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-rulings-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

const coded = (code: string) => (cause: unknown) => cause instanceof Failure && cause.code === code

test('a ruling lasts for its time, over restarts, and is for nobody else to read', t => {
  const folder = folderOf(t)
  let now = 1_000
  const open = (): Rulings => openRulings(folder, () => now)
  const given = open().give({ kind: 'ban', block: '192.0.2.7/24', forMs: 500, reason: 'noise' })
  assert.deepEqual(given, {
    kind: 'ban',
    block: '192.0.2.0/24',
    untilMs: 1_500,
    reason: 'noise',
    by: 'operator',
  })
  open().give({ kind: 'allow', block: '2001:DB8::1' })
  assert.deepEqual(
    open().current.map(one => [one.kind, one.block, one.untilMs]),
    [
      ['ban', '192.0.2.0/24', 1_500],
      ['allow', '2001:db8::1', 0],
    ],
  )
  now = 1_500
  assert.deepEqual(
    open().current.map(one => one.kind),
    ['allow'],
  )
  assert.equal(statSync(join(folder, 'guard', 'rulings.json')).mode & 0o077, 0)
})

test('what is said of a block takes the place of what was said of it, however it is spelled', t => {
  const rulings = openRulings(folderOf(t))
  rulings.give({ kind: 'ban', block: '192.0.2.0/24' })
  rulings.give({ kind: 'allow', block: '192.0.2.99/24' })
  assert.deepEqual(
    rulings.current.map(one => [one.kind, one.block]),
    [['allow', '192.0.2.0/24']],
  )
  assert.equal(rulings.takeBack('192.0.2.1'), false, 'nothing was said of this one alone')
  assert.equal(rulings.takeBack('192.0.2.1/24'), true)
  assert.deepEqual(rulings.current, [])
})

test('a block has one spelling, which means the same block', () => {
  for (const text of [
    '192.0.2.7',
    '192.0.2.7/24',
    '0.0.0.0/0',
    '2001:db8::7/32',
    '::/0',
    '::ffff:192.0.2.7/120',
    '::ffff:192.0.2.7',
  ]) {
    const spelled = blockText(text)
    const [meant, found] = [parseBlock(text), parseBlock(spelled)]
    assert.ok(found, `${text} became ${spelled}, which is none`)
    assert.equal(found.bits, meant?.bits, `${text} became ${spelled}`)
    assert.equal(blockText(spelled), spelled)
  }
})

test('what is no block, and no time, is refused and changes nothing', t => {
  const rulings = openRulings(folderOf(t))
  for (const block of ['everybody', '300.1.1.1', '192.0.2.0/33', '192.0.2.0/', ''])
    assert.throws(() => rulings.give({ kind: 'ban', block }), coded(guardFailures.rulingInvalid.code), block)
  for (const forMs of [0, -1, Number.NaN])
    assert.throws(
      () => rulings.give({ kind: 'ban', block: '192.0.2.1', forMs }),
      coded(guardFailures.rulingInvalid.code),
    )
  assert.deepEqual(rulings.current, [])
})

test('there is an end to how many there may be; a known block still changes', t => {
  const folder = folderOf(t)
  const kept = Array.from({ length: rulingsMax }, (_, index) => ({
    kind: 'ban',
    block: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    untilMs: 0,
    reason: 'noise',
    by: 'operator',
  }))
  const rulings = openRulings(folder)
  rulings.give({ kind: 'ban', block: '10.0.0.0' })
  writeFileSync(join(folder, 'guard', 'rulings.json'), JSON.stringify(kept))
  const full = openRulings(folder)
  assert.throws(() => full.give({ kind: 'ban', block: '192.0.2.1' }), coded(guardFailures.rulingsFull.code))
  assert.equal(full.give({ kind: 'allow', block: '10.0.0.1' }).kind, 'allow')
  assert.equal(full.current.length, rulingsMax)
})

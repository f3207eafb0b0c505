import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CommandInput } from '../command.ts'
import { guard } from './guard.ts'
import { lottery, rooms, roomsText } from './guard-rooms.ts'

function checked(
  context: TestContext,
  codes: readonly string[],
  options: Record<string, string>,
): [number, string] {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-lottery-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'places.txt')
  writeFileSync(file, codes.map(code => `${code}\n`).join(''))
  let said = ''
  const input = {
    args: { action: 'lottery', what: file },
    options,
    json: false,
    terminal: { print: (text: string) => void (said += text) },
  } as unknown as CommandInput
  return [lottery(input), said]
}

test('anybody can check a lottery with what its room publishes', context => {
  const seed = randomBytes(32)
  const commitment = createHash('sha256').update(seed).digest('hex')
  const key = (code: string): string => createHmac('sha256', seed).update(code).digest('hex')
  const codes = Array.from({ length: 50 }, (_, i) => (i + 1).toString(16).padStart(13, '0'))
  codes.sort((one, other) => (key(one) < key(other) ? -1 : 1))
  const published = { commitment, seed: seed.toString('hex') }
  const [code, text] = checked(context, codes, { ...published, code: codes[6]! })
  assert.equal(code, 0)
  assert.match(text, /^50 were drawn as was promised; [0-9a-f]{13} has place 7$/)
  const [bad, why] = checked(context, [...codes].reverse(), published)
  assert.equal(bad, 1)
  assert.match(why, /not as was promised: place 2: [0-9a-f]{13} belongs further ahead/)
  assert.throws(() => checked(context, codes, { commitment }), /--seed/)
})

test('rooms and quotas are shown in two tables', () => {
  const text = roomsText(
    [
      {
        ...{ name: 'drop', title: 'Drop', shared: false, mode: 'open', estimateMs: 61_000, waiting: 4_500 },
        ...{ granted: 3, active: 497, suspects: 20_000, admittedTotal: 512, activeMax: 500, perMinute: 600 },
        ...{ opensAtMs: 0, drawn: true, commitment: '' },
      },
    ],
    [{ name: 'tickets', taken: 120, held: 8, keys: 60, stock: 500 }],
  )
  assert.match(text, /drop +open +4500 +3 +497 +500 +600 +512 +20000 +61 s/)
  assert.match(text, /tickets +120 +8 +500 +60/)
  assert.equal(roomsText([], []), 'no waiting room is in use')
})

test('what is missing or wrong in an argument is said before a running system is looked for', async () => {
  const nowhere = join(tmpdir(), 'tenfold-never-started')
  const asked = (args: Record<string, string>, options: Record<string, string> = {}): CommandInput =>
    ({ args, options, json: false, stateDirectory: nowhere }) as unknown as CommandInput
  await assert.rejects(guard(asked({ action: 'explain' })), /needs the id of a request/)
  await assert.rejects(guard(asked({ action: 'unban' })), /needs an address/)
  await assert.rejects(
    guard(asked({ action: 'ban', what: '192.0.2.1' }, { for: 'banana' })),
    /'banana' is no duration/,
  )
  await assert.rejects(rooms(asked({ what: 'drop', mode: 'shut' })), /sold-out, not 'shut'/)
  await assert.rejects(rooms(asked({ what: 'drop' })), /open, paused, closed, sold-out\.$/)
})

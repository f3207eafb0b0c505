import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type FakeClock, fakeClock } from '../../kit/clock.ts'
import type { BanEntry, BanWish } from '../messages.ts'
import { matcherOf, RuleBans } from './rule-bans.ts'

const minuteUs = 60_000_000
const stepsMs = [60_000, 600_000, 3_600_000]

interface Trial {
  readonly clock: FakeClock
  readonly bans: RuleBans
  readonly changes: BanEntry[]
  readonly folder: string
  open(): RuleBans
  wish(address: string, subject?: string): void
}

function trial(t: TestContext): Trial {
  const folder = mkdtempSync(join(tmpdir(), 'tf-bans-'))
  const opened: RuleBans[] = []
  t.after(() => {
    for (const one of opened) one.close()
    rmSync(folder, { recursive: true })
  })
  const clock = fakeClock()
  const changes: BanEntry[] = []
  const open = (): RuleBans => {
    const bans = new RuleBans({
      clock,
      folder,
      changed: entries => changes.push(...entries),
      told: () => {},
      failed: text => assert.fail(text),
    })
    bans.take({ banStepsMs: stepsMs })
    opened.push(bans)
    return bans
  }
  const bans = open()
  const wishOf = (address: string, subject: string): BanWish => ({
    address,
    subject,
    rule: 'limit:login',
    reason: 'too many',
    id: '1',
  })
  return {
    clock,
    bans,
    changes,
    folder,
    open,
    wish: (address, subject = '') => bans.wish(wishOf(address, subject)),
  }
}

const keysOf = (bans: RuleBans): string[] => bans.entries().map(({ key }) => key)

test('each next ban of the same address lasts for the next step, until enough time has passed without one', t => {
  const { clock, wish, changes } = trial(t)
  const lasts = (): number => (changes.at(-1)?.untilMs ?? 0) - clock.wall() / 1000
  wish('192.0.2.7')
  assert.equal(lasts(), stepsMs[0])
  wish('192.0.2.7')
  assert.equal(changes.length, 1, 'what was under way when it began asks for no second one')
  for (const [minutes, step] of [
    [2, 1],
    [11, 2],
    [61, 2],
  ] as const) {
    clock.advance(minutes * minuteUs)
    wish('192.0.2.7')
    assert.equal(lasts(), stepsMs[step])
  }
  clock.advance(2 * 61 * minuteUs)
  wish('192.0.2.7')
  assert.equal(lasts(), stepsMs[0])
})

test('of 500 users behind one address one bad account is banned and nobody else; many of them within minutes ban the address', t => {
  const { bans, wish, clock } = trial(t)
  wish('192.0.2.7', 'account:mallory')
  assert.deepEqual(keysOf(bans), ['account:mallory'])
  for (let i = 0; i < 6; i++) {
    clock.advance(11 * minuteUs)
    wish('192.0.2.7', `session:slow-${i}@192.0.2.7`)
  }
  assert.ok(!keysOf(bans).includes('192.0.2.7'), 'one in eleven minutes is not many')
  for (let i = 0; i < 8; i++) wish('192.0.2.7', `session:made-up-${i}@192.0.2.7`)
  assert.ok(keysOf(bans).includes('192.0.2.7'))
})

test('bans survive the process, and two processes of one edge add to each other; what was ended stays ended', t => {
  const { bans, wish, open } = trial(t)
  wish('192.0.2.1')
  wish('192.0.2.2')
  bans.close()
  const next = open()
  assert.deepEqual(keysOf(next).sort(), ['192.0.2.1', '192.0.2.2'])
  assert.deepEqual(next.end(matcherOf('192.0.2.1')), ['192.0.2.1'])
  wish('192.0.2.3')
  bans.close()
  next.close()
  assert.deepEqual(keysOf(open()).sort(), ['192.0.2.2', '192.0.2.3'])
})

test('an operator ends bans by address, block or name', t => {
  const { bans, wish } = trial(t)
  for (const key of ['192.0.2.1', '192.0.2.200', '198.51.100.1', '2001:db8:1:2::/64']) wish(key)
  wish('192.0.2.9', 'account:ann')
  assert.deepEqual(bans.end(matcherOf('192.0.2.0/25')), ['192.0.2.1'])
  assert.deepEqual(bans.end(matcherOf('account:ann')), ['account:ann'])
  assert.deepEqual(bans.end(matcherOf('2001:db8:1::/48')), ['2001:db8:1:2::/64'])
  assert.deepEqual(bans.end(matcherOf('nobody')), [])
  assert.deepEqual(keysOf(bans), ['192.0.2.200', '198.51.100.1'])
})

test('there are never more than fit; whoever is dropped is told to the workers, and what is no address is never banned', t => {
  const { bans, wish, changes } = trial(t)
  wish('unknown')
  assert.equal(changes.length, 0)
  for (let i = 0; i < 20_010; i++) wish(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  assert.equal(bans.inForce, 20_000)
  const ended = changes.filter(({ untilMs }) => untilMs === 0).map(({ key }) => key)
  assert.deepEqual(ended.slice(0, 2), ['10.0.0.0', '10.0.0.1'])
})

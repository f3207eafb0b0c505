// The failover policy against a world of servers in which anything happens at any time, and the arithmetic of its proof
// against every case there is.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Quorum } from './failover-model.ts'
import { answersMissing, promisesNothing, proofOf, quorumText } from './failover-proof.ts'
import { FailoverRehearsal } from './testing/failover-rehearsal.ts'

const seed = Number(process.env.TENFOLD_SEED ?? Date.now() % 2 ** 31)
test.before(() => console.log(`seed ${seed} (TENFOLD_SEED)`))

function subsets<Item>(items: readonly Item[]): Item[][] {
  const all: Item[][] = [[]]
  for (const item of items) all.push(...all.map(one => [...one, item]))
  return all
}

test('a proof says yes exactly when no placement of an acknowledged commit escapes those who answer', () => {
  let cases = 0
  for (const n of [1, 2, 3, 4, 5]) {
    const names = Array.from({ length: n }, (_, index) => `r${index}`)
    for (let need = 1; need <= n; need++) {
      const placements = subsets(names).filter(one => one.length >= need)
      for (const answered of subsets(names)) {
        const escapes = placements.some(place => place.every(id => !answered.includes(id)))
        const { proved } = proofOf([{ need, names }], new Set(answered))
        assert.equal(proved, !escapes, `ANY ${need} of ${n}, answered ${answered}`)
        cases++
      }
    }
  }
  assert.equal(cases, 2 * 1 + 4 * 2 + 8 * 3 + 16 * 4 + 32 * 5)
})

test('one-replica needs every candidate, all-replicas any one, and each list that was in force its own', () => {
  const names = ['a', 'b', 'c']
  assert.equal(answersMissing({ need: 1, names }, new Set(['a', 'b'])), 1)
  assert.equal(answersMissing({ need: 1, names }, new Set(names)), 0)
  assert.equal(answersMissing({ need: 3, names }, new Set(['c'])), 0)
  assert.equal(answersMissing({ need: 0, names: [] }, new Set()), 0)
  const both: Quorum[] = [
    { need: 1, names: ['a', 'b'] },
    { need: 1, names: ['a'] },
  ]
  assert.equal(proofOf(both, new Set(['a'])).proved, false)
  assert.deepEqual(proofOf(both, new Set(['a'])).missing, ['b'])
  assert.equal(proofOf(both.slice(1), new Set(['a'])).proved, true)
  assert.equal(promisesNothing([...both, { need: 0, names: [] }]), true)
  assert.equal(quorumText(both[0]!), 'ANY 1 ("a", "b")')
  assert.equal(quorumText({ need: 0, names: [] }), '')
})

const ids = ['a', 'b', 'c', 'd']
const target = fc.constantFrom(...ids)
const fault = fc.oneof(
  ...['kill', 'suspend', 'wake', 'cut', 'join', 'slow', 'fast', 'orphan', 'outside'].map(verb =>
    target.map(id => `${verb} ${id}`),
  ),
  fc.integer({ min: 0, max: 3 }).map(steps => `die ${steps}`),
  target.map(id => `fail promote ${id}`),
  target.map(id => `mend promote ${id}`),
  target.map(id => `fail fence ${id}`),
  target.map(id => `mend fence ${id}`),
  target.map(id => `switchover ${id}`),
  fc.constant('sleep 5s'),
  fc.constant('restart'),
)
/** Trouble comes in bunches: what one server alone survives, two at once may not. */
const bunch = fc.tuple(
  fc.constantFrom('tick', 'ticks'),
  fc.array(fault, { minLength: 1, maxLength: 3 }),
  fc.constantFrom('tick', 'ticks', 'ticks'),
)
const life = fc.array(bunch, { minLength: 2, maxLength: 20 }).map(bunches => bunches.flat(2))

/** Writers go on all the time, to whom the routers name, and to whom they named before (a client that is still there). */
function liveThrough(
  durability: string,
  commands: readonly string[],
  picks: () => number,
): FailoverRehearsal {
  const rehearsal = new FailoverRehearsal()
  rehearsal.begin(['a', 'b', 'c', 'd~1h', `durability=${durability}`, 'failoversMax=1000'])
  const owners = new Map<number, string>()
  for (const command of commands) {
    const ticks = command === 'ticks' ? 20 : command === 'tick' ? 1 : 0
    if (ticks === 0) {
      const [verb, id] = command.split(' ')
      // Who promotes by hand while the agent chooses has to end it by hand: that scenario is told, not drawn.
      const server = rehearsal.world.servers.get(id ?? '')
      if (
        verb === 'outside' &&
        (server?.process !== 'running' ||
          server.role !== 'replica' ||
          rehearsal.state.journal.change !== null)
      )
        continue
      if (verb === 'wake' && server?.process !== 'suspended') continue
      if (verb === 'suspend' && server?.process !== 'running') continue
      rehearsal.play(command)
      holds(rehearsal, owners)
    }
    for (let i = 0; i < ticks; i++) {
      const { primary } = rehearsal.opened
      if (primary !== null) for (let n = 0; n < 3; n++) rehearsal.world.write(primary)
      rehearsal.tick(records => (picks() < 0.4 ? records : Math.floor(records * picks())))
      holds(rehearsal, owners)
    }
  }
  return rehearsal
}

function holds({ world, opened, state }: FailoverRehearsal, owners: Map<number, string>): void {
  if (opened.primary !== null) {
    const owner = owners.get(opened.epoch) ?? opened.primary
    assert.equal(opened.primary, owner, `epoch ${opened.epoch} has two primaries`)
    owners.set(opened.epoch, owner)
    assert.equal(opened.epoch, Math.max(...owners.keys()), 'an epoch went back')
    assert.ok(state.journal.epoch >= opened.epoch, 'routers know an epoch that is not on disk')
    assert.notEqual(opened.primary, 'd', 'a delayed replica was opened')
    assert.deepEqual(
      world.missing(opened.primary),
      [],
      'an acknowledged commit is missing on an open primary',
    )
  }
}

for (const durability of ['one-replica', 'all-replicas']) {
  test(`${durability}: whatever dies, hangs or is cut, no acknowledged commit is lost and no epoch has two primaries`, () => {
    fc.assert(
      fc.property(life, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (commands, stream) => {
        const rehearsal = liveThrough(durability, commands, () => stream.next().value)
        // Everything comes back: so does the service, by itself.
        for (const id of ids)
          for (const verb of ['wake', 'join', 'fast'])
            if (verb !== 'wake' || rehearsal.world.get(id).process === 'suspended')
              rehearsal.play(`${verb} ${id}`)
        rehearsal.failing.clear()
        rehearsal.play('advance 150s')
        const { primary } = rehearsal.state.journal
        assert.equal(rehearsal.opened.primary, primary, `not open in the end: ${rehearsal.plan?.why}`)
        assert.deepEqual(rehearsal.world.missing(primary!), [])
        const before = rehearsal.world.acknowledged.length
        rehearsal.play('write 1')
        assert.equal(
          rehearsal.world.acknowledged.length,
          before + 1,
          `no write in the end: ${rehearsal.plan?.why}`,
        )
      }),
      { seed, numRuns: 300 },
    )
  })
}

test('primary: epochs hold in whatever happens, and the service comes back', () => {
  fc.assert(
    fc.property(life, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (commands, stream) => {
      const rehearsal = liveThrough('primary', commands, () => stream.next().value)
      for (const id of ids) {
        if (rehearsal.world.get(id).process === 'suspended') rehearsal.play(`wake ${id}`)
        for (const verb of ['join', 'fast']) rehearsal.play(`${verb} ${id}`)
      }
      rehearsal.failing.clear()
      rehearsal.play('advance 150s')
      assert.equal(rehearsal.opened.primary, rehearsal.state.journal.primary, `${rehearsal.plan?.why}`)
    }),
    { seed, numRuns: 200, endOnFailure: false },
  )
})

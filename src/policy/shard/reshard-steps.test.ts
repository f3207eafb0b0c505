import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ShardMap } from './contract.ts'
import { type OperatorWish, type ReshardJournal, reshardSteps, reshardWishes } from './reshard-contract.ts'
import {
  afterAction,
  hasTurned,
  heldAtFirst,
  isBeforeSwitch,
  isOver,
  movingFamilies,
  nextAction,
  type ReshardAction,
  type ReshardOutcome,
  returnedMap,
  whyNotWished,
} from './reshard-steps.ts'

const before: ShardMap = { format: 1, version: 4, shards: ['1'], families: {}, tables: {} }
const next: ShardMap = { ...before, version: 5, shards: ['1', '2'] }

const first: ReshardJournal = {
  format: 1,
  id: 'abc',
  database: 'main',
  intent: { kind: 'split', from: '1', into: '2' },
  step: 'checking',
  before,
  next,
  moves: [{ family: 'rows', from: '1', into: '2', slots: null }],
  joining: ['2'],
  copied: {},
  epochs: {},
  wishes: { finish: false, cancel: false, rollBack: false, recopy: false },
  differences: null,
  ending: '',
  identities: {},
  backLost: '',
  pauseMs: -1,
  trouble: '',
  begunAt: 0,
}

class Crash extends Error {}

/** What is there besides the journal, and outlives whoever works. */
interface World {
  journal: ReshardJournal
  version: number
  /** What routers were told last. */
  held: boolean
  moving: boolean
  /** Slots, publications, identities; functions that say what a shard holds. */
  objects: boolean
  functions: boolean
  /** Version of the map by which they say it. */
  says: number
  /** Rows at the target that are the source's, and the other way. */
  copies: boolean
  leftovers: boolean
  /** Rows that the comparison finds to differ, so often. */
  differs: number
  lost: boolean
}

const freshWorld = (differs: number): World => ({
  journal: first,
  version: before.version,
  held: false,
  moving: false,
  objects: false,
  functions: false,
  says: before.version,
  copies: false,
  leftovers: false,
  differs,
  lost: false,
})

/** One executor. Each small step may be its last, and fail; `tick` says so. */
class Simulated {
  readonly #world: World
  readonly #tick: () => void
  #holding: boolean

  constructor(world: World, tick: () => void) {
    this.#world = world
    this.#tick = tick
    this.#holding = heldAtFirst(world.journal, world.version)
    // Routers may be told something at any time, for other reasons.
    this.#told()
  }

  /** False: nothing is to be done before somebody wishes something. */
  one(): boolean {
    const world = this.#world
    const action = nextAction(world.journal, {
      holding: this.#holding,
      version: world.version,
      lost: world.lost ? ['1'] : [],
    })
    if (action.kind === 'none' || action.kind === 'wait') return false
    const outcome = this.#act(action)
    this.#keep(afterAction(world.journal, action, outcome))
    return !(action.kind === 'work' && action.work === 'follow')
  }

  #keep(change: Partial<ReshardJournal>): void {
    this.#tick()
    this.#world.journal = { ...this.#world.journal, ...change }
    this.#tick()
  }

  #tell(): void {
    this.#tick()
    this.#told()
    this.#tick()
  }

  #told(): void {
    const { journal } = this.#world
    this.#world.held = this.#holding
    const { says, version } = this.#world
    assert.ok(
      this.#holding || says === version,
      `${journal.step}: routers go by ${version}, servers by ${says}`,
    )
    this.#world.moving = movingFamilies(journal).length > 0
    // A router asks what shards hold only where they can say it.
    assert.ok(
      !this.#world.moving || this.#world.functions,
      `${journal.step}: routers ask for what is not there`,
    )
  }

  /** Something is made: whoever comes after must know that it is to go. */
  #make(what: 'objects' | 'functions' | 'copies' | 'leftovers'): void {
    this.#tick()
    const { journal } = this.#world
    assert.ok(!isOver(journal) && journal.step !== 'checking', `${what} are made while it is ${journal.step}`)
    assert.equal(journal.ending, '', `${what} are made at the end`)
    this.#world[what] = true
    this.#tick()
  }

  #drop(what: 'objects' | 'functions' | 'copies' | 'leftovers'): void {
    this.#tick()
    this.#world[what] = false
    this.#tick()
  }

  #act(action: ReshardAction): ReshardOutcome {
    const world = this.#world
    switch (action.kind) {
      case 'end-hold':
        this.#holding = false
        return {}
      case 'release':
        assert.equal(hasTurned(world.journal, world.version), false)
        this.#tick()
        world.says = world.version
        this.#holding = false
        this.#tell()
        return {}
      case 'begin-again':
        this.#make('objects')
        world.lost = false
        return {}
      case 'turn':
        this.#turn(action.way)
        return {}
      case 'work':
        return this.#work(action.work)
      default:
        return {}
    }
  }

  #turn(way: 'forth' | 'back'): void {
    const world = this.#world
    this.#make('objects')
    this.#holding = true
    this.#tell()
    if (way === 'forth') this.#keep({ step: 'switching' })
    this.#tick()
    assert.ok(world.held, 'the map changes under routers that do not hold')
    assert.ok(world.copies && world.objects, 'the map changes before the rows are there')
    if (way === 'forth') assert.equal(world.journal.differences, null)
    else assert.ok(world.leftovers, 'it goes back to rows that are gone')
    world.says = way === 'forth' ? next.version : returnedMap(world.journal).version
    this.#tick()
    world.version = way === 'forth' ? next.version : returnedMap(world.journal).version
    if (way === 'forth') world.leftovers = true
    this.#tick()
    this.#holding = false
    this.#tell()
    this.#keep({ pauseMs: 1, trouble: '' })
  }

  #work(work: Extract<ReshardAction, { kind: 'work' }>['work']): ReshardOutcome {
    const world = this.#world
    switch (work) {
      case 'prepare':
        this.#make('functions')
        this.#make('objects')
        this.#keep({ epochs: { '1': 1 } })
        return {}
      case 'copy':
        this.#tell()
        assert.ok(world.moving, 'rows are copied that nobody filters')
        this.#make('copies')
        this.#keep({ copied: { '1>2': { rows: '0/1' } } })
        return {}
      case 'compare': {
        assert.deepEqual(world.journal.copied['1>2'], { rows: '0/1' })
        this.#tick()
        if (world.differs === 0) return { differences: null }
        world.differs--
        return { differences: { count: 1, tables: { '1>2': ['rows'] }, rows: [] } }
      }
      case 'clean':
        this.#tell()
        assert.equal(world.version, next.version, 'rows are deleted where they belong')
        this.#drop('leftovers')
        // At home by now.
        world.copies = false
        this.#drop('objects')
        return {}
      case 'undo':
        this.#tell()
        assert.notEqual(world.version, next.version, 'rows are deleted where they belong')
        this.#drop('copies')
        world.leftovers = false
        this.#drop('objects')
        return {}
      case 'forget':
        this.#tell()
        assert.equal(world.moving, false)
        this.#drop('functions')
        return {}
      default:
        this.#tell()
        return {}
    }
  }
}

function assertEnded(world: World): void {
  const { step } = world.journal
  const { held, moving, objects, functions, copies, leftovers } = world
  const nothing = {
    held: false,
    moving: false,
    objects: false,
    functions: false,
    copies: false,
    leftovers: false,
  }
  assert.deepEqual({ held, moving, objects, functions, copies, leftovers }, nothing, step)
  const versions: Readonly<Record<string, number>> = {
    done: next.version,
    cancelled: before.version,
    'rolled-back': next.version + 1,
  }
  assert.equal(world.version, versions[step], step)
}

const wish = fc.constantFrom(...reshardWishes)
/** After so many small steps: it crashes, a step of it fails, streams are lost, or somebody wishes something. */
const happening = fc.record({
  after: fc.integer({ min: 0, max: 25 }),
  what: fc.oneof(fc.constantFrom('crash' as const, 'fail' as const, 'lose' as const), wish),
})
const roundsMax = 2_000

test('wherever it crashes, fails and is interrupted, it ends with nothing left behind, and with the map that its end says', () => {
  const ends = new Map<string, number>()
  fc.assert(
    fc.property(
      fc.array(happening, { maxLength: 30 }),
      fc.integer({ min: 0, max: 2 }),
      fc.constantFrom<OperatorWish>('finish', 'cancel', 'rollBack'),
      (happenings, differs, last) => {
        const world = freshWorld(differs)
        const queue = [...happenings]
        let left = queue[0]?.after ?? 0
        const wished = (what: OperatorWish): void => {
          if (whyNotWished(world.journal, what) !== null) return
          world.journal = { ...world.journal, wishes: { ...world.journal.wishes, [what]: true } }
        }
        const tick = (): void => {
          if (queue.length === 0 || left-- > 0) return
          const { what } = queue.shift() as (typeof happenings)[number]
          left = queue[0]?.after ?? 0
          if (what === 'crash') throw new Crash('crash')
          if (what === 'fail') throw new Error('fail')
          if (what === 'lose') world.lost = isBeforeSwitch(world.journal)
          else wished(what)
        }
        let executor = new Simulated(world, tick)
        for (let rounds = 0; !isOver(world.journal); rounds++) {
          assert.ok(rounds < roundsMax, `it does not end: ${JSON.stringify(world.journal)}`)
          try {
            if (executor.one() || isOver(world.journal)) continue
            // It waits for people.
            while (queue.length > 0 && reshardWishes.includes(queue[0]?.what as never))
              wished(queue.shift()?.what as OperatorWish)
            wished('recopy')
            if (queue.length === 0) wished(last)
            else if (left > 0) left = 0
            if (world.journal.step === 'reversible') wished('finish')
          } catch (error) {
            if (error instanceof Crash) executor = new Simulated(world, tick)
            else if ((error as Error).message !== 'fail') throw error
          }
        }
        assertEnded(world)
        ends.set(world.journal.step, (ends.get(world.journal.step) ?? 0) + 1)
      },
    ),
    { numRuns: 3_000 },
  )
  assert.deepEqual([...ends.keys()].sort(), ['cancelled', 'done', 'rolled-back'])
})

test('every step has something next, whatever the map and the hold', () => {
  for (const step of reshardSteps)
    for (const version of [4, 5, 6])
      for (const holding of [true, false]) {
        const action = nextAction({ ...first, step }, { holding, version, lost: [] })
        assert.equal(action.kind === 'none', isOver({ step }), `${step} ${version} ${holding}`)
      }
})

test('rows that differ wait for a word, and are copied anew, without the tables that were right', () => {
  const differences = { count: 3, tables: { '1>2': ['public.rows'] }, rows: [] }
  const comparing: ReshardJournal = {
    ...first,
    step: 'comparing',
    copied: { '1>2': { 'public.rows': '0/1', 'public.right': '0/2' }, '1>3': { 'public.rows': '0/3' } },
  }
  const facts = { holding: false, version: 4, lost: [] }
  const compare: ReshardAction = { kind: 'work', work: 'compare' }
  assert.deepEqual(nextAction(comparing, facts), compare)
  const found = { ...comparing, ...afterAction(comparing, compare, { differences }) }
  assert.equal(found.trouble, '3 rows differ: public.rows between shards 1>2')
  assert.deepEqual(nextAction(found, facts), { kind: 'wait' })
  assert.equal(whyNotWished(comparing, 'recopy'), 'no rows are known to differ')
  assert.equal(whyNotWished(found, 'recopy'), null)
  const asked = { ...found, wishes: { ...found.wishes, recopy: true } }
  const recopy = nextAction(asked, facts)
  assert.deepEqual(recopy, { kind: 'work', work: 'recopy' })
  const again = { ...asked, ...afterAction(asked, recopy) }
  assert.deepEqual(
    [again.step, again.differences, again.wishes.recopy, again.trouble, again.copied],
    ['copying', null, false, '', { '1>2': { 'public.right': '0/2' }, '1>3': { 'public.rows': '0/3' } }],
  )
  assert.deepEqual(nextAction({ ...asked, wishes: { ...asked.wishes, cancel: true } }, facts), {
    kind: 'go',
    step: 'cancelling',
  })
})

test('what may be wished, and when not, why', () => {
  const at = (step: ReshardJournal['step'], more: Partial<ReshardJournal> = {}) => ({
    ...first,
    step,
    ...more,
  })
  assert.equal(whyNotWished(at('copying'), 'cancel'), null)
  assert.equal(whyNotWished(at('reversible'), 'cancel'), 'rows have moved already: roll it back instead')
  assert.equal(whyNotWished(at('cleaning'), 'cancel'), "it can't be cancelled any more (cleaning)")
  assert.equal(whyNotWished(at('copying'), 'rollBack'), 'rows have not moved yet: cancel it instead')
  assert.equal(whyNotWished(at('reversible', { backLost: 'why' }), 'rollBack'), 'there is no way back: why')
  assert.equal(whyNotWished(at('done'), 'finish'), 'it is over already (done)')
})

// A database in virtual time: a world of servers, the failover policy as its agent, routers that obey what is opened, and
// clients that write. Played by text scenarios, and by chance in the property test.

import { afterStep, beginFailover, beginSwitchover, decideFailover, type StepResult } from '../failover.ts'
import {
  type FailoverMember,
  type FailoverPlan,
  type FailoverSettings,
  type FailoverState,
  type FailoverStep,
  failoverDefaults,
  newFailoverState,
  newJournal,
} from '../failover-model.ts'
import { FailoverWorld, quorumOf, type WorldServer } from './failover-world.ts'
import { scenarioStamp, scenarioTimeUs } from './scenario.ts'

const tickUs = 100_000
const critical = new Set(['hold', 'drain', 'stop', 'fence', 'synchronous', 'promote', 'open'])

export class FailoverRehearsal {
  world: FailoverWorld = new FailoverWorld([])
  settings: FailoverSettings = settingsOf([])
  state: FailoverState = newFailoverState(newJournal, 0)
  nowUs: number = 0
  /** What routers obey. */
  opened: { epoch: number; primary: string | null } = { epoch: 0, primary: null }
  /** Transactions of clients do not end by themselves. */
  stuck: boolean = false
  /** Steps by their first words that fail: `promote a`. */
  readonly failing: Set<string> = new Set()
  /** The agent ends after so many more steps, before it remembers the last one. */
  dieAfter: number = Number.POSITIVE_INFINITY
  plan: FailoverPlan | null = null
  #said = ''
  #writes = { tried: 0, done: 0 }
  #plans = false

  readonly play = (command: string): readonly string[] => {
    const [verb = '', ...words] = command.split(/\s+/)
    const handler = this.#verbs[verb]
    if (handler === undefined) throw new Error(`unknown command: ${command}`)
    return handler(words) ?? []
  }

  readonly #verbs: Readonly<Record<string, (words: string[]) => readonly string[] | undefined>> = {
    database: words => this.begin(words),
    advance: words => this.#advance(scenarioTimeUs(words[0] ?? '')),
    kill: words => void words.map(id => this.world.kill(id)),
    orphan: words => void words.map(id => this.world.kill(id, true)),
    suspend: words => void words.map(id => this.#set(id, { process: 'suspended' })),
    wake: words => void words.map(id => this.#set(id, { process: 'running' })),
    cut: words => void words.map(id => this.#set(id, { cut: true })),
    join: words => void words.map(id => this.#set(id, { cut: false })),
    fill: words => void words.map(id => this.#set(id, { full: true })),
    slow: words => void words.map(id => this.#set(id, { slow: true })),
    fast: words => void words.map(id => this.#set(id, { slow: false })),
    lose: words => void words.map(id => this.#set(id, { process: 'ended', disk: 'damaged' })),
    outside: words => void words.map(id => this.world.promote(id)),
    write: words => this.#write(Number(words[0] ?? 1)),
    fail: words => void this.failing.add(words.join(' ')),
    mend: words => void this.failing.delete(words.join(' ')),
    sleep: words => void (this.nowUs += scenarioTimeUs(words[0] ?? '')),
    restart: () => void this.restartAgent(),
    die: words => void (this.dieAfter = Number(words[0] ?? 0)),
    hold: () => void (this.stuck = true),
    release: () => void (this.stuck = false),
    pause: words => void this.#journal({ paused: words.join(' ') }),
    resume: () => void this.#journal({ paused: null }),
    switchover: words => this.#asked(this.switchover(words[0] ?? null)),
    failover: words =>
      this.#asked(this.failover(words.filter(one => one !== 'lossy')[0] ?? null, words.includes('lossy'))),
    set: words => void (this.settings = { ...this.settings, ...keysOf(words) }),
    plans: () => void (this.#plans = true),
    show: () => this.#show(),
  }

  begin(words: readonly string[]): undefined {
    const keys = keysOf(words)
    const members = words.filter(word => !word.includes('=')).map(memberOf)
    this.settings = { ...settingsOf(members), ...keys }
    this.world = new FailoverWorld(members)
    const [first, ...others] = members
    this.world.create(first!.id)
    for (const member of others)
      this.world.clone(member.id, member.from === 'primary' ? first!.id : member.from)
    const journal = { ...newJournal, epoch: 1, timeline: 1, primary: first!.id }
    this.state = newFailoverState({ ...journal, quorums: [{ need: 0, names: [] }] }, this.nowUs)
    for (let ticks = 0; ticks < 30; ticks++) this.tick()
    this.#said = this.plan!.why
    return undefined
  }

  switchover(to: string | null): string {
    const next = beginSwitchover(this.nowUs, this.nowUs / 1_000, this.looks(), this.state, this.settings, to)
    if (typeof next !== 'string') this.state = next
    return typeof next === 'string' ? next : ''
  }

  failover(to: string | null, lossy: boolean): string {
    const wallMs = this.nowUs / 1_000
    const next = beginFailover(this.nowUs, wallMs, this.looks(), this.state, this.settings, to, lossy)
    if (typeof next !== 'string') this.state = next
    return typeof next === 'string' ? next : ''
  }

  restartAgent(): void {
    this.state = newFailoverState(this.state.journal, this.nowUs)
  }

  looks(): ReturnType<FailoverWorld['look']>[] {
    return [...this.world.servers.keys()].map(id => this.world.look(id, this.nowUs, this.nowUs + 1))
  }

  /** One look at all, and what follows from it: one of the steps that go in order, and every repair. */
  tick(part?: (records: number) => number): string[] {
    this.nowUs += tickUs
    this.world.stream(part)
    const lines: string[] = []
    // A step in order is followed by the next one at once; the bound is for a policy that never comes to an end.
    for (let steps = 0; steps < 12; steps++) if (!this.#decide(lines)) break
    return lines
  }

  /** True when a step was taken that another may follow at once. */
  #decide(lines: string[]): boolean {
    this.nowUs += 1_000
    const [state, plan] = decideFailover(
      this.nowUs,
      this.nowUs / 1_000,
      this.looks(),
      this.state,
      this.settings,
    )
    this.state = state
    this.plan = plan
    if (plan.why !== this.#said) lines.push(this.#line(plan.why))
    this.#said = plan.why
    if (this.#plans && plan.steps.length > 1)
      lines.push(...plan.steps.map(step => `         - ${textOf(step)}`))
    const first = plan.steps.find(step => this.#isCritical(step))
    const repairs = plan.steps.filter(step => !this.#isCritical(step))
    for (const step of first === undefined ? repairs : [first, ...repairs])
      if (!this.#take(step, lines)) return false
    if (first?.kind === 'drain' && !this.state.drained) return false
    return first !== undefined && !this.failing.has(`${first.kind} ${'server' in first ? first.server : ''}`)
  }

  #isCritical(step: FailoverStep): boolean {
    const { primary, change } = this.state.journal
    return critical.has(step.kind) || (step.kind === 'restart' && [primary, change?.to].includes(step.server))
  }

  /** False when the agent died of it: the journal is all that is left. */
  #take(step: FailoverStep, lines: string[]): boolean {
    if (step.kind === 'wait' || step.kind === 'ask') return true
    if (step.kind !== 'slots' && !(step.kind === 'drain' && this.stuck))
      lines.push(this.#line(`  ${textOf(step)}`))
    const result = this.#result(step)
    if (!result.ok) lines.push(this.#line(`  failed: ${result.why}`))
    if (this.dieAfter-- <= 0) {
      this.dieAfter = Number.POSITIVE_INFINITY
      this.restartAgent()
      lines.push(this.#line('  the agent died, and begins anew'))
      return false
    }
    this.state = afterStep(this.nowUs, this.nowUs / 1_000, step, result, this.state, this.settings)
    this.nowUs += 1_000
    return true
  }

  #result(step: FailoverStep): StepResult {
    try {
      if (this.failing.has(`${step.kind} ${'server' in step ? step.server : ''}`.trim()))
        throw new Error('it does not work')
      return this.#act(step)
    } catch (error) {
      return { ok: false, why: (error as Error).message }
    }
  }

  #act(step: FailoverStep): StepResult {
    const { world } = this
    switch (step.kind) {
      case 'hold':
        this.opened = { ...this.opened, primary: null }
        return { ok: true }
      case 'drain':
        return { ok: true, drained: !this.stuck }
      case 'open':
        this.#open()
        return { ok: true }
      case 'stop':
        world.stream()
        world.fence(step.server)
        return { ok: true }
      case 'fence':
        world.fence(step.server)
        return { ok: true }
      case 'promote':
        return {
          ok: true,
          timeline: world.promote(step.server),
          lsn: world.get(step.server).log.length * 100,
        }
      case 'synchronous':
        world.get(step.server).quorum = quorumOf(step.names)
        return { ok: true }
      case 'follow':
        return { ok: true, diverged: world.follow(step.server, step.from) === 'diverged' }
      case 'clone':
        world.clone(step.server, step.from)
        return { ok: true }
      case 'start':
      case 'restart':
        world.kill(step.server)
        world.start(step.server, 3)
        return { ok: true }
      default:
        return { ok: true }
    }
  }

  #open(): void {
    const { epoch, primary } = this.state.journal
    if (epoch < this.opened.epoch) throw new Error(`epoch ${epoch} after ${this.opened.epoch}`)
    this.opened = { epoch, primary }
  }

  #advance(us: number): readonly string[] {
    const lines: string[] = []
    for (const end = this.nowUs + us; this.nowUs < end; ) lines.push(...this.tick())
    return lines
  }

  #write(count: number): readonly string[] {
    const before = this.world.acknowledged.length
    const primary = this.opened.primary
    if (primary !== null) for (let i = 0; i < count; i++) this.world.write(primary)
    this.#writes.tried += count
    this.world.stream()
    const done = this.world.acknowledged.length - before
    this.#writes.done += done
    const where = primary === null ? 'held by the routers' : `to ${primary}`
    return [this.#line(`${count} writes ${where}: ${done} acknowledged`)]
  }

  #show(): readonly string[] {
    const { epoch, primary, quorums } = this.state.journal
    const lost = primary === null ? 0 : this.world.missing(primary).length
    const proof = quorums.map(one => (one.need === 0 ? 'nobody' : `${one.need} of ${one.names.join(',')}`))
    return [
      `epoch ${epoch}, primary ${primary}, commits stand on ${proof.join(' and ')}; ${lost} promised commits missing`,
      ...Object.entries(this.plan!.servers).map(([id, one]) => `  ${id} ${one.state}: ${one.reason}`),
    ]
  }

  #asked(problem: string): readonly string[] {
    return problem === '' ? [] : [this.#line(`refused: ${problem}`)]
  }

  #set(id: string, part: Partial<WorldServer>): void {
    Object.assign(this.world.get(id), part)
  }

  #journal(part: Partial<FailoverState['journal']>): void {
    this.state = { ...this.state, journal: { ...this.state.journal, ...part } }
  }

  #line(text: string): string {
    return `${scenarioStamp(this.nowUs)}  ${text}`
  }
}

function textOf(step: FailoverStep): string {
  const server = 'server' in step ? ` ${step.server}` : ''
  const from = 'from' in step ? ` from ${step.from}` : ''
  return `${step.kind}${server}${from}: ${step.why}`
}

/** `a`, `b<a` (cascading), `c~1h` (delayed). */
function memberOf(word: string): FailoverMember {
  const [id, delay] = word.split('~')
  const [name, from = 'primary'] = id!.split('<')
  return { id: name!, from, delayMs: delay === undefined ? 0 : 3_600_000 }
}

function settingsOf(members: readonly FailoverMember[]): FailoverSettings {
  const usual = { durability: 'one-replica', automatic: true, canFence: true, detectMs: 1_000 } as const
  return { ...failoverDefaults, ...usual, members }
}

function keysOf(words: readonly string[]): Partial<FailoverSettings> {
  const keys = words.filter(word => word.includes('=')).map(word => word.split('=') as [string, string])
  const value = (text: string): unknown =>
    text === 'true' || text === 'false' ? text === 'true' : Number.isNaN(Number(text)) ? text : Number(text)
  return Object.fromEntries(keys.map(([key, text]) => [key, value(text)]))
}

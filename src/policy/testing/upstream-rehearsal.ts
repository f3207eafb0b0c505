// One upstream in virtual time: the policies as the edge calls them (probes, traffic, retries, ejections, rotation),
// over members that fail as a scenario tells them to. Twenty requests a second, one after the other.

import { type Random, seededRandom } from '../../kit/random.ts'
import { createBalancer } from '../balance.ts'
import type { Balancer } from '../group.ts'
import {
  type HealthCells,
  healthLayout,
  healthReason,
  healthStateNames,
  mayServe,
  probeVerdict,
  recordProbe,
} from '../health.ts'
import {
  ejected,
  mayEject,
  type OutlierObservation,
  outlierText,
  type Standing,
  shouldEjectNow,
  sweepOutliers,
} from '../outlier.ts'
import { type Rotation, rotation, rotationText, type TierHealth } from '../panic.ts'
import { Reason, reasonText } from '../reason.ts'
import { AttemptEnd, decideRetry, triesAgain } from '../retry.ts'
import type { OutlierSettings, ProbeSettings, RetrySettings } from '../settings.ts'
import { warmth } from '../slow-start.ts'
import { PlainGroup } from './plain-group.ts'
import { scenarioStamp, scenarioTimeUs } from './scenario.ts'

interface Member {
  readonly id: string
  readonly tier: number
  probeOk: boolean
  requestOk: boolean
  latencyUs: number
  standing: Standing
  consecutiveFailures: number
  held: boolean
  warmSinceUs: number
  recent: { at: number; failed: boolean; latencyUs: number }[]
  picked: number
}

const tickUs = 50_000
const secondUs = 1_000_000

export class UpstreamRehearsal {
  #now = 0
  readonly #random: Random
  #members: Member[] = []
  #group = new PlainGroup([])
  #balancer: Balancer = createBalancer({ kind: 'round-robin' })
  #health: HealthCells = healthLayout.create(0)
  #rotation: Rotation = rotation([], 0)
  #probes: ProbeSettings = { intervalMs: 1_000, rise: 2, fall: 2, jitter: 0 }
  #passive: OutlierSettings = {
    consecutiveFailures: 5,
    failureShare: 0.5,
    requestsMin: 10,
    windowMs: 10_000,
    latencyFactor: 4,
    ejectBaseMs: 8_000,
    ejectMaxMs: 60_000,
    ejectShareMax: 0.5,
  }
  #retry: RetrySettings = {
    attempts: 1,
    budgetShare: 0.2,
    budgetMin: 3,
    backoffBaseMs: 0,
    backoffMaxMs: 0,
    onStatus: [],
  }
  #panicShare = 0
  #slowStartMs = 0
  #log: string[] = []
  #failed = 0
  #retried = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** The player for `playScenario`. */
  readonly play = (command: string): readonly string[] => {
    const [verb, ...words] = command.split(/\s+/)
    this.#log = []
    if (verb === 'upstream') this.#begin(words)
    else if (verb === 'advance') this.#advance(scenarioTimeUs(words[0] ?? ''))
    else if (verb === 'states') this.#states()
    else if (verb === 'slow') this.#find(words[0]).latencyUs = scenarioTimeUs(words[1] ?? '')
    else if (verb === 'fail' || verb === 'heal' || verb === 'sick') this.#set(verb, words)
    else throw new Error(`unknown command: ${command}`)
    return this.#log
  }

  /** `a b@1` members (with their tier), `key=value` settings. */
  #begin(words: readonly string[]): void {
    const settings = words.filter(word => word.includes('='))
    for (const [name = '', value = ''] of settings.map(word => word.split('='))) {
      if (name === 'panic') this.#panicShare = Number(value)
      else if (name === 'slowStart') this.#slowStartMs = scenarioTimeUs(value) / 1_000
      else if (name in this.#probes) this.#probes = { ...this.#probes, [name]: Number(value) }
      else if (name in this.#passive) this.#passive = { ...this.#passive, [name]: Number(value) }
      else throw new Error(`unknown setting: ${name}`)
    }
    this.#members = words.filter(word => !word.includes('=')).map(newMember)
    this.#group = new PlainGroup(this.#members.map(member => ({ id: member.id })))
    this.#health = healthLayout.create(this.#members.length)
    this.#balancer.rebuild(this.#group)
    this.#rotate()
  }

  #set(verb: string, ids: readonly string[]): void {
    for (const member of ids.map(id => this.#find(id))) {
      member.requestOk = verb === 'heal'
      member.probeOk = verb !== 'fail'
      if (verb === 'heal') member.latencyUs = 10_000
    }
  }

  #find(id: string | undefined): Member {
    const member = this.#members.find(one => one.id === id)
    if (member === undefined) throw new Error(`no member ${id}`)
    return member
  }

  #advance(us: number): void {
    for (const member of this.#members) member.picked = 0
    this.#failed = this.#retried = 0
    for (const end = this.#now + us; this.#now < end; ) {
      this.#now += tickUs
      if (this.#now % (this.#probes.intervalMs * 1_000) === 0) this.#probe()
      if (this.#now % secondUs === 0) this.#sweep()
      this.#request()
    }
    const shares = this.#members.map(member => `${member.id} ${member.picked}`).join(', ')
    const lost = this.#failed > 0 ? `; ${this.#failed} failed` : ''
    this.#log.push(`traffic: ${shares}${this.#retried > 0 ? `; ${this.#retried} retried` : ''}${lost}`)
  }

  #say(member: Member, text: string): void {
    this.#log.push(`${scenarioStamp(this.#now)}  ${member.id}: ${text}`)
  }

  #probe(): void {
    for (const [i, member] of this.#members.entries()) {
      const changed = recordProbe(this.#health, i, member.probeOk, this.#now, this.#probes)
      if (changed === Reason.none) continue
      if (changed === Reason.probesOk) this.#welcome(member)
      const state = healthStateNames[this.#health.at.state[i]!]
      this.#say(member, `${state}: ${healthReason(this.#health, i, this.#probes)}`)
    }
    this.#rotate()
  }

  #sweep(): void {
    const seen = this.#members.map((_, i) => this.#observe(i))
    const decisions = sweepOutliers(seen, this.#now, this.#passive)
    for (const decision of decisions) {
      const member = this.#members[decision.member]!
      member.standing = decision.standing
      if (decision.kind === 'return') this.#welcome(member)
      if (decision.kind !== 'hold' || !member.held) this.#say(member, outlierText(decision))
    }
    for (const [i, member] of this.#members.entries())
      member.held = decisions.some(decision => decision.member === i && decision.kind === 'hold')
    this.#rotate()
  }

  /** Back in traffic: a new window, a warm-up. */
  #welcome(member: Member): void {
    member.recent = []
    member.consecutiveFailures = 0
    member.warmSinceUs = this.#now
  }

  #observe(i: number): OutlierObservation {
    const member = this.#members[i]!
    member.recent = member.recent.filter(one => this.#now - one.at < this.#passive.windowMs * 1_000)
    const requests = member.recent.length
    return {
      ...member.standing,
      requests,
      failures: member.recent.filter(one => one.failed).length,
      consecutiveFailures: member.consecutiveFailures,
      latencyUs: requests === 0 ? 0 : member.recent.reduce((sum, one) => sum + one.latencyUs, 0) / requests,
      probes: probeVerdict(this.#health, i, member.standing.changedUs, this.#probes.rise),
      serving: mayServe(this.#health, i),
    }
  }

  #healthy(i: number): boolean {
    return mayServe(this.#health, i) && this.#members[i]!.standing.ejectedUntilUs === 0
  }

  #rotate(): void {
    const tiers: { healthy: number; total: number }[] = []
    for (const [i, member] of this.#members.entries()) {
      while (tiers.length <= member.tier) tiers.push({ healthy: 0, total: 0 })
      const tier = tiers[member.tier]!
      tier.total++
      if (this.#healthy(i)) tier.healthy++
    }
    const next = rotation(tiers as readonly TierHealth[], this.#panicShare)
    if (this.#now > 0 && rotationText(next) !== rotationText(this.#rotation))
      this.#log.push(`${scenarioStamp(this.#now)}  upstream: ${rotationText(next)}`)
    this.#rotation = next
  }

  #request(): void {
    const tried: number[] = []
    for (let attempts = 1; ; attempts++) {
      const i = this.#pick(tried)
      if (i < 0) break
      tried.push(i)
      const member = this.#members[i]!
      member.picked++
      this.#record(i, member)
      if (member.requestOk) return
      if (!this.#again(attempts)) break
      this.#retried++
    }
    this.#failed++
  }

  #pick(tried: readonly number[]): number {
    const { tierMax, useAll } = this.#rotation
    for (const [i, member] of this.#members.entries()) {
      const plain = this.#group.members[i]!
      plain.eligible = member.tier <= tierMax && (useAll || this.#healthy(i)) && !tried.includes(i)
      plain.warmth = warmth(member.warmSinceUs, this.#now, this.#slowStartMs)
    }
    return this.#balancer.pick(this.#group, this.#now, 0, this.#random)
  }

  #record(i: number, member: Member): void {
    member.recent.push({ at: this.#now, failed: !member.requestOk, latencyUs: member.latencyUs })
    member.consecutiveFailures = member.requestOk ? 0 : member.consecutiveFailures + 1
    if (!shouldEjectNow(member.consecutiveFailures, this.#passive) || !this.#healthy(i)) return
    const out = this.#members.filter(one => one.standing.ejectedUntilUs > 0).length
    const serving = this.#members.filter((_, other) => this.#healthy(other)).length
    if (mayEject(out, serving, this.#members.length, this.#passive) !== Reason.none) return
    member.standing = ejected(member.standing, this.#now, this.#passive)
    this.#say(member, reasonText(Reason.consecutiveFailures, member.consecutiveFailures))
    this.#rotate()
  }

  #again(attempts: number): boolean {
    const code = decideRetry(
      {
        end: AttemptEnd.lost,
        idempotent: true,
        unsent: false,
        reused: false,
        bodyReplayable: true,
        status: 0,
        attempts,
        staleUsed: false,
        clientGone: false,
      },
      this.#retry,
      true,
    )
    return triesAgain(code)
  }

  #states(): void {
    for (const [i, member] of this.#members.entries()) {
      const { ejectedUntilUs, ejections } = member.standing
      const state = ejectedUntilUs > 0 ? 'ejected' : healthStateNames[this.#health.at.state[i]!]
      const left = ejectedUntilUs > 0 ? `, until ${scenarioStamp(ejectedUntilUs).trim()}` : ''
      const count = ejections > 0 ? `, ejections counted: ${ejections}` : ''
      this.#log.push(`${member.id}  ${state}: ${healthReason(this.#health, i, this.#probes)}${left}${count}`)
    }
  }
}

function newMember(word: string): Member {
  const [id = '', tier = '0'] = word.split('@')
  return {
    id,
    tier: Number(tier),
    probeOk: true,
    requestOk: true,
    latencyUs: 10_000,
    standing: { ejectedUntilUs: 0, ejections: 0, changedUs: 0 },
    consecutiveFailures: 0,
    held: false,
    warmSinceUs: -1e12,
    recent: [],
    picked: 0,
  }
}

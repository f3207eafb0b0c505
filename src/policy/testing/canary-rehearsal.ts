// One canary in virtual time: its requests and the others' are drawn by chance from what a scenario says of each side,
// counted and judged once a second as the edge does it.

import { createHistograms } from '../../kit/histogram.ts'
import { type Random, seededRandom } from '../../kit/random.ts'
import { type CanaryRollbackSettings, canaryText, decideCanary, type SideCounts } from '../canary.ts'
import { CanaryWindow } from '../canary-window.ts'
import { scenarioStamp, scenarioTimeUs } from './scenario.ts'

interface Side {
  readonly row: number
  requests: number
  errors: number
  errorShare: number
  latencyUs: number
  /** Share of the requests that take ten times as long. */
  slowShare: number
}

const secondUs = 1_000_000

export class CanaryRehearsal {
  readonly #random: Random
  readonly #latency = createHistograms(2)
  readonly #canary: Side = newSide(0)
  readonly #others: Side = newSide(1)
  #settings: CanaryRollbackSettings = {
    windowMs: 60_000,
    requestsMin: 50,
    errorShareExcess: 0.02,
    latencyFactor: 2,
  }
  #window = new CanaryWindow(60_000)
  #now = 0
  #share = 0.1
  #perSecond = 100
  #out = false
  #last = ''

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  readonly play = (command: string): readonly string[] => {
    const [verb = '', ...words] = command.split(/\s+/)
    const keys = Object.fromEntries(words.filter(word => word.includes('=')).map(word => word.split('=')))
    switch (verb) {
      case 'canary':
      case 'others':
        return this.#set(verb === 'canary' ? this.#canary : this.#others, keys)
      case 'watch':
        return this.#watch(keys)
      case 'traffic':
        this.#perSecond = Number(words[0])
        return []
      case 'advance':
        return this.#advance(scenarioTimeUs(words[0] ?? ''))
      case 'resume':
        this.#out = false
        this.#window.restart()
        return [`${scenarioStamp(this.#now)}  resumed`]
      case 'show':
        return [`${scenarioStamp(this.#now)}  ${this.#last}`]
      default:
        throw new Error(`unknown command: ${command}`)
    }
  }

  #set(side: Side, keys: Record<string, string | undefined>): string[] {
    if (keys.errors !== undefined) side.errorShare = Number.parseFloat(keys.errors) / 100
    if (keys.latency !== undefined) side.latencyUs = scenarioTimeUs(keys.latency)
    if (keys.slow !== undefined) side.slowShare = Number.parseFloat(keys.slow) / 100
    if (keys.share !== undefined) this.#share = Number.parseFloat(keys.share) / 100
    return []
  }

  #watch(keys: Record<string, string | undefined>): string[] {
    const numbers = Object.entries(keys).map(([name, value]) => [name, Number(value)])
    this.#settings = { ...this.#settings, ...Object.fromEntries(numbers) }
    this.#window = new CanaryWindow(this.#settings.windowMs)
    return []
  }

  #advance(us: number): string[] {
    const lines: string[] = []
    const before = [this.#canary.requests, this.#others.requests]
    for (const end = this.#now + us; this.#now < end; ) {
      this.#now += secondUs
      for (let i = 0; i < this.#perSecond; i++) {
        const toCanary = this.#random.float() < this.#share && !this.#out
        this.#request(toCanary ? this.#canary : this.#others)
      }
      lines.push(...this.#judge())
    }
    const [canary, others] = [this.#canary.requests - before[0]!, this.#others.requests - before[1]!]
    return [...lines, `traffic: canary ${canary}, others ${others}`]
  }

  #request(side: Side): void {
    side.requests++
    if (this.#random.float() < side.errorShare) {
      side.errors++
      return
    }
    // Half to one and a half times the usual: enough for a p95 that is not the mean.
    const spread = 0.5 + this.#random.float()
    const slow = this.#random.float() < side.slowShare ? 10 : 1
    this.#latency.record(side.row, side.latencyUs * spread * slow)
  }

  #judge(): string[] {
    const seen = this.#window.observe(this.#now, {
      canary: this.#sums(this.#canary),
      others: this.#sums(this.#others),
    })
    if (this.#out) return []
    const decision = decideCanary(seen, this.#settings)
    this.#last = canaryText(decision)
    if (decision.kind === 'hold') return []
    this.#out = true
    return [`${scenarioStamp(this.#now)}  ${this.#last}`]
  }

  #sums({ row, requests, errors }: Side): SideCounts {
    return { requests, errors, latency: this.#latency.read([row]) }
  }
}

function newSide(row: number): Side {
  return { row, requests: 0, errors: 0, errorShare: 0, latencyUs: 20_000, slowShare: 0 }
}

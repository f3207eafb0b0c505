// From rule files to transactions: loads what a policy names once a worker, plans it for each policy, opens a transaction
// for each request. Knows what the Core Rule Set expects to be set up, for its versions 3 and 4.

import { planRules, type RulePlan } from './engine/plan.ts'
import { openTransaction, type TransactionSettings } from './engine/transaction.ts'
import { Registry } from './operators/registry.ts'
import { type Directive, readDirectives } from './seclang/lines.ts'
import { type LoadedRules, Loading, loadRules, type RuleSource } from './seclang/load.ts'
import type { WafTransaction } from './transaction.ts'

/** Steps that rules may compute for one request: about 15 ms of one core at most. */
export const defaultWorkMax = 12_000_000

/** Steps that a request which is to be refused may cost: then it is not asked what else speaks against it. */
export const defaultEnoughWork = 400_000

export interface RuleSet {
  readonly loaded: LoadedRules
  readonly registry: Registry
}

export interface RuleSettings {
  readonly paranoia: number
  readonly inboundThreshold: number
  readonly outboundThreshold: number
  readonly exclude: readonly string[]
  /** Else all rules are asked, so that detection names all that match. */
  readonly endsAtRefusal: boolean
  readonly workMax?: number
  readonly enoughWork?: number
}

/** Of the engine rather than of a rule set: a body that can't be read is no body that passed. */
const ownRules = `
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'The request body can not be read: %{reqbody_error_msg}',severity:2"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,log,deny,status:400,msg:'The multipart body is not strict',severity:2"
`

/** Throws a RuleSyntaxError. */
export function compileRules(sources: readonly RuleSource[]): RuleSet {
  const registry = new Registry()
  const loaded = loadRules([ownSource, ...sources], registry)
  for (const _ of registry.warming());
  return { loaded, registry }
}

/** The same in pieces of some milliseconds, with `pause` between them. `warm`: automata are made too. */
export async function compileSlowly(
  sources: readonly RuleSource[],
  warm: boolean,
  pause: () => Promise<unknown>,
): Promise<RuleSet> {
  const registry = new Registry()
  const loading = new Loading(registry)
  for (const source of [ownSource, ...sources]) {
    for (const directives of batches(readDirectives(source.text, source.file))) {
      loading.takeAll(directives, source)
      await pause()
    }
    loading.endFile()
  }
  if (warm) for (const _ of registry.warming()) await pause()
  return { loaded: loading.result, registry }
}

/** Directives that are read without a pause. */
const batchSize = 2

function* batches(directives: readonly Directive[]): Generator<readonly Directive[]> {
  for (let at = 0; at < directives.length; at += batchSize) yield directives.slice(at, at + batchSize)
}

const ownSource: RuleSource = {
  file: 'own rules',
  text: ownRules,
  readFile: name => {
    throw new Error(`there is no file ${name}`)
  },
}

/** A policy's way to transactions. */
export class RuleBook {
  readonly plan: RulePlan
  readonly #settings: TransactionSettings

  constructor(set: RuleSet, settings: RuleSettings) {
    const held = heldVariables(settings)
    this.plan = planRules(set.loaded, set.registry, { exclude: settings.exclude, held })
    this.#settings = {
      held,
      // The setup file of the Core Rule Set says this; without it all requests would be refused.
      given: new Map([['crs_setup_version', '400']]),
      endsAtRefusal: settings.endsAtRefusal,
      inboundThreshold: settings.inboundThreshold,
      outboundThreshold: settings.outboundThreshold,
      workMax: settings.workMax ?? defaultWorkMax,
      enoughWork: settings.enoughWork ?? defaultEnoughWork,
    }
  }

  open(): WafTransaction {
    return openTransaction(this.plan, this.#settings)
  }
}

/** By the names of versions 3 and 4. */
function heldVariables(settings: RuleSettings): Map<string, string> {
  const level = String(settings.paranoia)
  return new Map([
    ['paranoia_level', level],
    ['executing_paranoia_level', level],
    ['blocking_paranoia_level', level],
    ['detection_paranoia_level', level],
    ['inbound_anomaly_score_threshold', String(settings.inboundThreshold)],
    ['outbound_anomaly_score_threshold', String(settings.outboundThreshold)],
    ['early_blocking', '0'],
    ['sampling_percentage', '100'],
  ])
}

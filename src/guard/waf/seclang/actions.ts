// The actions of a rule: `id:1,phase:2,block,t:none,t:lowercase,setvar:'tx.score=+5',chain`.

import { transformations } from '../transformations/index.ts'
import { RuleSyntaxError } from './lines.ts'
import type { Actions, Control, Disruption, Place, VariableChange } from './rule.ts'

/** Without effect here: what they ask for is said in the system file, or is of the log. */
const idle: ReadonlySet<string> = new Set(
  (
    'accuracy append auditlog deprecatevar exec expirevar initcol log logdata maturity noauditlog nolog pause prepend ' +
    'redirect rev sanitiseArg sanitiseMatched sanitiseMatchedBytes sanitiseRequestHeader sanitiseResponseHeader setenv ' +
    'setrsc setsid setuid ver xmlns'
  )
    .toLowerCase()
    .split(' '),
)
const refused: ReadonlySet<string> = new Set(['exec', 'redirect', 'proxy', 'prepend', 'append', 'pause'])
const phases: Readonly<Record<string, number>> = { request: 2, response: 4, logging: 5 }

const controls: ReadonlySet<string> = new Set([
  'auditengine',
  'auditlogparts',
  'debugloglevel',
  'forcerequestbodyvariable',
  'requestbodyaccess',
  'requestbodylimit',
  'requestbodyprocessor',
  'responsebodyaccess',
  'responsebodylimit',
  'ruleengine',
  'ruleremovebyid',
  'ruleremovebymsg',
  'ruleremovebytag',
  'ruleremovetargetbyid',
  'ruleremovetargetbymsg',
  'ruleremovetargetbytag',
])

type Draft = { -readonly [Key in keyof Actions]: Actions[Key] } & {
  tags: string[]
  transformations: string[]
  changes: VariableChange[]
  controls: Control[]
}

function draft(): Draft {
  return {
    id: '',
    phase: 2,
    disruption: 'none',
    allows: '',
    status: 403,
    message: '',
    data: '',
    severity: '',
    tags: [],
    transformations: [],
    multiMatch: false,
    capture: false,
    chain: false,
    skipAfter: '',
    skip: 0,
    changes: [],
    controls: [],
    logs: true,
  }
}

export function readActions(text: string, place: Place): Actions {
  const actions = draft()
  for (const piece of pieces(text)) {
    const colon = piece.indexOf(':')
    const name = (colon < 0 ? piece : piece.slice(0, colon)).trim().toLowerCase()
    const value = colon < 0 ? '' : unquoted(piece.slice(colon + 1).trim())
    take(actions, name, value, place)
  }
  return actions
}

function take(actions: Draft, name: string, value: string, place: Place): void {
  switch (name) {
    case 'id':
      actions.id = value
      return
    case 'phase':
      actions.phase = phaseOf(value, place)
      return
    case 'pass':
    case 'block':
    case 'deny':
    case 'drop':
      actions.disruption = name satisfies Disruption
      return
    case 'allow':
      actions.disruption = 'allow'
      actions.allows = value
      return
    case 'status':
      actions.status = Number(value)
      return
    case 'msg':
      actions.message = value
      return
    case 'logdata':
      actions.data = value
      return
    case 'severity':
      actions.severity = severityOf(value)
      return
    case 'tag':
      actions.tags.push(value)
      return
    case 't':
      takeTransformation(actions, value.toLowerCase(), place)
      return
    case 'multimatch':
      actions.multiMatch = true
      return
    case 'capture':
      actions.capture = true
      return
    case 'chain':
      actions.chain = true
      return
    case 'skipafter':
      actions.skipAfter = value
      return
    case 'skip':
      actions.skip = Number(value)
      return
    case 'setvar':
      actions.changes.push(changeOf(value))
      return
    case 'ctl':
      actions.controls.push(controlOf(value, place))
      return
    case 'nolog':
      actions.logs = false
      return
  }
  if (refused.has(name) || !idle.has(name)) {
    throw new RuleSyntaxError(place, `the action ${name} is not supported`)
  }
}

function takeTransformation(actions: Draft, name: string, place: Place): void {
  if (name === 'none') {
    actions.transformations.length = 0
    return
  }
  if (!Object.hasOwn(transformations, name)) {
    throw new RuleSyntaxError(place, `the transformation ${name} is not supported`)
  }
  actions.transformations.push(name)
}

function phaseOf(value: string, place: Place): number {
  const phase = phases[value.toLowerCase()] ?? Number(value)
  if (!(phase >= 1 && phase <= 5)) throw new RuleSyntaxError(place, `there is no phase ${value}, only 1 to 5`)
  return phase
}

const severities = ['EMERGENCY', 'ALERT', 'CRITICAL', 'ERROR', 'WARNING', 'NOTICE', 'INFO', 'DEBUG']

function severityOf(value: string): string {
  return severities[Number(value)] ?? value.toUpperCase()
}

function changeOf(value: string): VariableChange {
  if (value.startsWith('!')) return { name: value.slice(1).toLowerCase(), change: 'remove', value: '' }
  const equals = value.indexOf('=')
  if (equals < 0) return { name: value.toLowerCase(), change: 'set', value: '1' }
  const name = value.slice(0, equals).trim()
  const rest = value.slice(equals + 1).trim()
  if (rest.startsWith('+')) return { name, change: 'add', value: rest.slice(1) }
  if (rest.startsWith('-')) return { name, change: 'subtract', value: rest.slice(1) }
  return { name, change: 'set', value: rest }
}

function controlOf(value: string, place: Place): Control {
  const equals = value.indexOf('=')
  const name = (equals < 0 ? value : value.slice(0, equals)).trim().toLowerCase()
  if (!controls.has(name)) throw new RuleSyntaxError(place, `ctl:${name} is not supported`)
  return { name, value: equals < 0 ? '' : value.slice(equals + 1).trim() }
}

/** At each comma outside of single quotes. */
function pieces(text: string): string[] {
  const found: string[] = []
  let piece = ''
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!
    if (character === '\\' && text[at + 1] === "'") {
      piece += "\\'"
      at += 1
      continue
    }
    if (character === "'") quoted = !quoted
    if (character === ',' && !quoted) {
      if (piece.trim() !== '') found.push(piece.trim())
      piece = ''
    } else piece += character
  }
  if (piece.trim() !== '') found.push(piece.trim())
  return found
}

function unquoted(text: string): string {
  const plain = /^'.*'$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text
  return plain.replaceAll("\\'", "'")
}

// The rules for who names none, in SecLang like any other: read by the same engine. What each class looks for is in the
// file of its name; how they were measured: README.md.

import type { RuleSource } from '../seclang/load.ts'
import { answerRules } from './answers.ts'
import { databaseRules } from './databases.ts'
import { pageRules } from './pages.ts'
import { protocolRules } from './protocols.ts'
import { systemRules } from './systems.ts'
import { type BuiltinRule, written } from './write.ts'

export const builtinRules: readonly BuiltinRule[] = [
  // First what costs least: in a dear request one match is enough.
  ...protocolRules,
  ...databaseRules,
  ...pageRules,
  ...systemRules,
  ...answerRules,
]

const text = [
  'SecAction "id:9000000,phase:1,nolog,pass,setvar:tx.inbound_anomaly_score_pl1=0,setvar:tx.outbound_anomaly_score_pl1=0"',
  ...builtinRules.map(written),
].join('\n')

export function builtinSources(): readonly RuleSource[] {
  return [
    {
      file: 'built-in rules',
      text,
      readFile: name => {
        throw new Error(`the built-in rules name no file, and not ${name}`)
      },
    },
  ]
}

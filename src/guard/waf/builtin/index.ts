// The rules for who names none, in SecLang like any other: read by the same engine.

import type { RuleSource } from '../seclang/load.ts'

const text = `
SecAction "id:9000000,phase:1,nolog,pass,setvar:tx.inbound_anomaly_score_pl1=0"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* "@detectSQLi" \\
  "id:9000100,phase:2,block,t:none,t:urlDecodeUni,t:utf8toUnicode,t:removeNulls,msg:'SQL injection',severity:2,\\
  tag:'attack-sqli',setvar:'tx.inbound_anomaly_score_pl1=+5'"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* "@detectXSS" \\
  "id:9000200,phase:2,block,t:none,t:utf8toUnicode,t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode,t:cssDecode,t:removeNulls,\\
  msg:'Cross-site scripting',severity:2,tag:'attack-xss',setvar:'tx.inbound_anomaly_score_pl1=+5'"
`

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

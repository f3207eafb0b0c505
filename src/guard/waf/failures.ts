// What can be wrong with rule files.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

export const wafFailures: Catalogue<'rulesMissing' | 'rulesInvalid'> = defineFailures('waf', {
  rulesMissing: {
    when: "A file or folder of rules that a policy's `waf.rules` names can't be read.",
    advice:
      'Name a folder with .conf files, or the files; with the Core Rule Set of Debian: /usr/share/modsecurity-crs/rules.',
  },
  rulesInvalid: {
    when: 'A rule file has something that the rule engine does not know. It says which file and line.',
    advice:
      'Mend that line, or leave the file out. What is understood: docs/operate/waf.md. A rule that is passed over in silence would be a hole.',
  },
})

// The keys `guard.bots` (what is known of crawlers, data centres and traps, for all policies) and `risk` of a policy (from
// which score on what is done).

import type { CheckedBots, CheckedRisk } from './checked-guard.ts'
import { either, into, listOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, duration, flag, off, Refused, type Schema, text, whole } from './values.ts'

const verdicts = ['allow', 'refuse'] as const
type Verdict = (typeof verdicts)[number]

const aiKinds = {
  search: choice('Those that index for answers with links.', verdicts).prefault('allow'),
  training: choice('Those that collect for training.', verdicts).prefault('allow'),
  user: choice('Those that fetch a page because a person asked for it.', verdicts).prefault('allow'),
}

const aiCrawlers: Schema<CheckedBots['aiCrawlers']> = either(
  'Crawlers of AI services, all alike or by what they fetch for.',
  into(choice('All alike.', verdicts), (word: Verdict) => ({ search: word, training: word, user: word })),
  strict(aiKinds, { about: 'By what they fetch for.' }),
)

const agentUrl = text(
  'The `Signature-Agent` by which it names itself.',
  "an https URL such as 'https://bot.example'",
  {
    pattern: /^https:\/\/[^\s/?#@]+(?:\/[!-~]*)?$/,
    lengthMax: 300,
  },
)

const signatureAgent: Schema<CheckedBots['signatureAgents'][number]> = either(
  'One that is believed.',
  into(agentUrl, agent => ({ agent })),
  into(
    strict(
      {
        agent: agentUrl,
        keysFile: filePath(
          'Its keys (JSON Web Key Set). Left out: fetched from its directory and looked at again each hour',
        ).optional(),
      },
      {
        about: 'With its keys.',
        elsewhere: { keys: "Did you mean 'keysFile'?", url: "Did you mean 'agent'?" },
      },
    ),
    ({ agent, keysFile }) => ({ agent, ...(keysFile === undefined ? {} : { keysFile }) }),
  ),
)

const dataCentres = strict(
  {
    asns: listOf(
      'Numbers of autonomous systems; needs `guard.geo.asn`.',
      whole('A number.', 1, 4_294_967_295),
      10_000,
    ).prefault([]),
    files: listOf('Files of addresses and blocks, one a line.', filePath('A file'), 50).prefault([]),
  },
  { about: 'What counts as a data centre, where few people browse from.' },
)

const honeypot = text('A path.', "a path such as '/wp-login.php', exact", {
  pattern: /^\/[^\s?#]*$/,
  lengthMax: 1024,
})

export const bots: Schema<CheckedBots> = into(
  strict(
    {
      crawlers: choice('Verified crawlers that no list names otherwise.', verdicts).prefault('allow'),
      ai: aiCrawlers.prefault('allow'),
      crawlerFiles: listOf(
        'Crawlers beside those that Tenfold knows: files of `{ "name": "...", "ranges": [...], "hosts": [...] }`.',
        filePath('A file'),
        50,
      ).prefault([]),
      signatureAgents: listOf(
        'Web Bot Auth: crawlers that are verified by their signatures (RFC 9421).',
        signatureAgent,
        100,
      ).prefault([]),
      dataCentres: dataCentres.prefault({}),
      honeypots: listOf(
        'Paths that no person is led to; who asks for one gains risk.',
        honeypot,
        200,
      ).prefault([]),
      honeypotFields: listOf(
        'Fields of forms that people do not see; who fills one in gains risk.',
        text('A field.', 'the name of a field', { lengthMax: 200 }),
        50,
      ).prefault([]),
    },
    {
      about: 'What is known of bots, for all policies with `risk`.',
      elsewhere: {
        aiCrawlers: "Did you mean 'ai'?",
        robots: "Did you mean 'crawlers'?",
        allow: "'allow' is a key of 'guard'.",
        traps: "Did you mean 'honeypots'?",
        asns: "'asns' is a key of 'dataCentres'.",
      },
    },
  ),
  keys => ({
    crawlers: keys.crawlers,
    aiCrawlers: keys.ai,
    crawlerFiles: keys.crawlerFiles,
    signatureAgents: keys.signatureAgents,
    dataCentreAsns: [...new Set(keys.dataCentres.asns)],
    dataCentreFiles: keys.dataCentres.files,
    honeypots: [...new Set(keys.honeypots)],
    honeypotFields: [...new Set(keys.honeypotFields)],
  }),
)

/** Above every score. */
export const never = 101

const at = (about: string): Schema<number> =>
  either(
    about,
    whole('From this score on.', 0, 100),
    into(off('Never.'), () => never),
  )

// Single weak signs (an unusual order of headers, a data centre) stay below 40; a challenge takes two of them or a strong
// one; to be refused, nearly everything must speak against a client.
const riskKeys = {
  slow: at('Slowed.').prefault(40),
  challenge: at('Challenged, where the policy has `challenge`.').prefault(50),
  queue: at('Left to wait for ever in the room, where the policy has one; else challenged again.').prefault(
    80,
  ),
  refuse: at('Refused.').prefault(95),
  slowBy: duration('How long who is slowed waits.', '50ms', '30s').prefault('1s'),
}

const riskObject: Schema<CheckedRisk> = into(
  strict(riskKeys, {
    about: 'With thresholds of your own.',
    elsewhere: {
      block: "Did you mean 'refuse'?",
      deny: "Did you mean 'refuse'?",
      delay: "Did you mean 'slowBy'?",
      slowAt: "Did you mean 'slow'?",
      challengeAt: "Did you mean 'challenge'?",
      queueAt: "Did you mean 'queue'?",
      refuseAt: "Did you mean 'refuse'?",
    },
  }),
  (keys): CheckedRisk | Refused => {
    const order = (['slow', 'challenge', 'queue', 'refuse'] as const).filter(key => keys[key] !== never)
    const wrong = order.find((key, index) => index > 0 && keys[key] < keys[order[index - 1] as 'slow'])
    if (wrong !== undefined)
      return new Refused(
        `has '${wrong}' at ${keys[wrong]}, below a milder answer`,
        'Write slow <= challenge <= queue <= refuse; false takes one away.',
      )
    return {
      slowAt: keys.slow,
      challengeAt: keys.challenge,
      queueAt: keys.queue,
      refuseAt: keys.refuse,
      slowMs: keys.slowBy,
    }
  },
)

export const risk: Schema<CheckedRisk | undefined> = either(
  'Each request gets a score from 0 to 100 of how likely it is a bot, and an answer by it. Left out: only where `challenge` is `suspicious`.',
  into(flag('With the thresholds below, or not.'), on => (on ? riskObject.parse({}) : undefined)),
  riskObject as Schema<CheckedRisk | undefined>,
)

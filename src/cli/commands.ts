// Every command's definition: one table, from which the parser, the help texts and docs/reference/cli.md are made.

import type { CommandDefinition } from './command.ts'

const service = { name: 'service', text: 'Name of the service, as in the file' }
const member = {
  name: 'member',
  text: 'Name of the member, as `tenfold status` shows it: `web-1`, or `web/web-1` where two services have one',
}

export const commands: readonly CommandDefinition[] = [
  {
    name: 'init',
    summary: 'Write a system file for the project in a folder',
    details:
      'Looks at package.json and the usual server files, and writes tenfold.config.ts. Never overwrites a file.',
    arguments: [{ name: 'folder', text: 'Where to write; the current folder when left out', optional: true }],
    takesFile: false,
    examples: [['init', 'write ./tenfold.config.ts']],
    load: async () => (await import('./commands/init.ts')).init,
  },
  {
    name: 'check',
    summary: 'Check the system file and say every problem at once',
    details: 'Starts nothing. Exit code 2 when there is a problem; warnings alone are no problem.',
    takesEnvironment: true,
    examples: [
      ['check', 'check ./tenfold.config.ts'],
      ['check --env production shop.config.ts', 'check another file with the overrides of an environment'],
    ],
    load: async () => (await import('./commands/check.ts')).check,
  },
  {
    name: 'plan',
    summary:
      'Estimate what the workload asks for, beside what the file has: where it breaks first, and what it costs',
    details:
      'From `workload` and the rest of the file, in closed form: load, storage, bandwidth, caches, instances, databases, availability, durability, cost. Each figure knows its formula, what went in and its source, and the range that uncertain inputs leave. Starts nothing. Exit code 2 when the file, the prices or an option is wrong.',
    options: [
      {
        flags: '--explain [id]',
        text: 'All figures in a line each; with the id of one (or a section): its formula, inputs and source',
      },
      { flags: '--times <number>', text: 'The load times this: 10 is ten times the workload' },
      { flags: '--growth-years <number>', text: 'After so many years of `workload.growth`' },
      { flags: '--prices <file>', text: 'Prices of your own: a copy of prices/2026-11.json of the package' },
      {
        flags: '--nines',
        text: 'Only show how long each availability may be down in a year, month, week and day',
      },
    ],
    takesEnvironment: true,
    examples: [
      ['plan', 'the estimate of the file here'],
      ['plan --times 10', 'the same system with ten times its load'],
      ['plan --explain load.peak', 'how one figure came about'],
      ['plan --json', 'every figure, exactly'],
    ],
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  {
    name: 'simulate',
    summary: 'Rehearse the system in virtual time: load, faults and what they do, before they happen',
    details:
      'Plays `rehearsals` of the file (without a name: all of them; without any: five minutes at the peak of `workload`). The system is built from the file, and each decision is made by the function that makes it in production. Starts nothing. The same seed gives the same run. Exit code: 0; with --check 1 when an expectation fails or the system is unstable; 2 when the file is wrong; 130 after Ctrl-C.',
    arguments: [{ name: 'rehearsal', text: 'Name of one in the file, or `peak`', optional: true }],
    options: [
      { flags: '--check', text: 'Exit code 1 when an expectation fails: for CI' },
      { flags: '--seed <number>', text: 'Instead of the seed of the rehearsal' },
      { flags: '--sample <k>', text: 'Play one in k of users and instances, where that is valid' },
      {
        flags: '--compare <other>',
        text: 'Play it by another system file too, or with another seed (`seed:7`), and show what differs',
      },
      { flags: '--html <file>', text: 'Write a page with charts and the whole timeline' },
      { flags: '--shrink', text: 'When it goes wrong: which of its faults are needed for that' },
      { flags: '--list', text: 'Only show which rehearsals there are' },
    ],
    takesEnvironment: true,
    examples: [
      ['simulate', 'play all rehearsals of the file'],
      ['simulate peak', 'five minutes at the peak'],
      ['simulate blackFriday --check', 'in CI: fail when an expectation does'],
      ['simulate peak --compare proposal.config.ts', 'what a changed file would do to the same requests'],
    ],
    load: async () => (await import('./commands/simulate.ts')).simulate,
  },
  {
    name: 'up',
    summary: 'Run the system until it is stopped',
    details:
      'Starts what the file describes and shows what happens. Ctrl-C (or TERM) drains: no new requests, those in flight finish, instances end; a second Ctrl-C ends everything at once. What an earlier `up` left running when it died is taken back. Exit code: 0 after a clean stop, 1 when the start failed, 2 when the file is wrong, 130 after a second Ctrl-C.',
    options: [
      { flags: '--no-watch', text: 'Do not reload by itself when the file changes' },
      { flags: '--user <name>', text: 'Who services run as, when started as root' },
    ],
    takesEnvironment: true,
    examples: [
      ['up', 'run the system of this folder'],
      ['up examples/boxoffice/tenfold.config.ts', 'run another one'],
      ['up --json', 'one JSON value a line: events, then the status once everything runs'],
    ],
    load: async () => (await import('./commands/up.ts')).up,
  },
  {
    name: 'status',
    summary: 'Show the running system: listeners, services, members, and why each is in its state',
    options: [{ flags: '-w, --watch', text: 'Draw it again each second, until Ctrl-C' }],
    examples: [
      ['status', 'at a glance'],
      ['status --watch', 'as it changes'],
      ['status --json', 'everything, for machines'],
    ],
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'logs',
    summary: 'Show what instances print',
    arguments: [{ ...service, text: 'Only of this service', optional: true }],
    options: [
      { flags: '-f, --follow', text: 'Go on with what comes, until Ctrl-C' },
      { flags: '-n, --lines <count>', text: 'How many of the latest lines of each instance', default: '100' },
    ],
    examples: [
      ['logs', 'the latest 100 lines of every instance'],
      ['logs web -f -n 20', 'follow one service'],
    ],
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    name: 'scale',
    summary: 'Set the number of instances of a service',
    details: 'Within `instances: { min, max }` of the file. It holds until the file is applied again.',
    arguments: [service, { name: 'count', text: 'How many instances' }],
    examples: [['scale web 4', 'four instances of web']],
    load: async () => (await import('./commands/operations.ts')).scale,
  },
  {
    name: 'restart',
    summary: 'Replace the instances of a service, or the edge, without a failed request',
    details:
      'Instances go one by one: each new one is ready before an old one drains. `edge` (where no service has that name): another process listens on the same ports before the former one takes no more connections and drains.',
    arguments: [service],
    examples: [
      ['restart web', 'each new instance is ready before an old one drains'],
      ['restart edge', 'another edge process takes over: for a new Tenfold or Node'],
    ],
    load: async () => (await import('./commands/operations.ts')).restart,
  },
  {
    name: 'drain',
    summary: 'Send no new requests to a member; those in flight finish',
    arguments: [member],
    examples: [['drain web-2', 'take web-2 out; its process runs on']],
    load: async () => (await import('./commands/operations.ts')).drain,
  },
  {
    name: 'undrain',
    summary: 'Take a drained member back',
    arguments: [member],
    examples: [['undrain web-2', 'web-2 gets requests again']],
    load: async () => (await import('./commands/operations.ts')).undrain,
  },
  {
    name: 'reload',
    summary: 'Apply the changed system file to the running system',
    details:
      'Checks the file first; a bad one changes nothing. New services are ready before routes lead to them, changed ones are replaced one by one. What cannot change live is refused with its reason. The environment is the one that `up` was given.',
    options: [{ flags: '--dry-run', text: 'Only show what would change' }],
    examples: [
      ['reload --dry-run', 'see the difference'],
      ['reload', 'apply it'],
    ],
    load: async () => (await import('./commands/operations.ts')).reload,
  },
  {
    name: 'rollback',
    summary: 'Bring an earlier system back, as it was applied',
    details:
      'Without a number: the one before the current. The file is not touched: correct it before the next reload.',
    arguments: [{ name: 'number', text: 'Entry of `tenfold history`', optional: true }],
    examples: [
      ['rollback', 'undo the last reload'],
      ['rollback 3', 'back to entry 3 of the history'],
    ],
    load: async () => (await import('./commands/operations.ts')).rollback,
  },
  {
    name: 'renew',
    summary: 'Get new automatic certificates now, not when they are due',
    details:
      'For certificates by `edge.tls.acme` only. What the old ones serve goes on; a failure changes nothing. An authority that has asked to wait is not asked.',
    arguments: [
      { name: 'host', text: 'Only of this host; all automatic ones when left out', optional: true },
    ],
    examples: [
      ['renew', 'every host of edge.tls.acme'],
      ['renew tickets.example', 'one host, for instance when its DNS is right at last'],
    ],
    load: async () => (await import('./commands/operations.ts')).renew,
  },
  {
    name: 'standdown',
    summary: 'Have traffic sent to the other edge of a pair; this one serves on',
    details:
      'Health listeners (`edge.health`) say 503 until `tenfold standup`, also over restarts. Wait until the address has moved before you stop anything.',
    options: [{ flags: '--reason <text>', text: 'What health listeners and the status say' }],
    examples: [['standdown --reason "a new kernel"', 'before a maintenance of this host']],
    load: async () => (await import('./commands/operations.ts')).standDown,
  },
  {
    name: 'standup',
    summary: 'End a stand-down: this edge may get traffic again',
    examples: [['standup', 'after the maintenance']],
    load: async () => (await import('./commands/operations.ts')).standUp,
  },
  {
    name: 'canary',
    summary: 'Show the canaries of the routes, take one out, or give it its share again',
    details:
      'What a canary is judged by stands in the route (`canary.rollback`). One that was taken out stays out until it is resumed, or until the file describes it otherwise; meanwhile nothing reaches it, not even requests with its header or cookie.',
    arguments: [
      { name: 'action', text: 'Left out: list', choices: ['list', 'resume', 'stop'], optional: true },
      { name: 'route', text: 'Id of the route, as the list shows it', optional: true, neverFile: true },
    ],
    examples: [
      ['canary', 'share, state and what the requests show'],
      ["canary stop '/api/*'", 'every client to the others, at once'],
      ["canary resume '/api/*'", 'it is mended'],
    ],
    load: async () => (await import('./commands/canary.ts')).canary,
  },
  {
    name: 'maintenance',
    summary: 'Show every client a page (503), or end that',
    details:
      'Lasts until `tenfold maintenance off`, also over restarts and reloads. Health listeners and ACME challenges go on. What is left out stands in the file (`edge.maintenance`); without that, a plain page and five minutes.',
    arguments: [{ name: 'action', text: 'on, or off', choices: ['on', 'off'] }],
    options: [
      { flags: '--page <file>', text: 'The page: .html, .txt or .json; who prefers JSON gets JSON' },
      { flags: '--retry-after <duration>', text: 'What Retry-After says: 90s, 10m' },
      { flags: '--allow <blocks>', text: 'Addresses or CIDR blocks that are let through, with commas' },
    ],
    examples: [
      [
        'maintenance on --page down.html --retry-after 10m --allow 10.0.0.0/8',
        'for everybody but the office',
      ],
      ['maintenance off', 'done'],
    ],
    load: async () => (await import('./commands/maintenance.ts')).maintenance,
  },
  {
    name: 'purge',
    summary: 'Have every edge forget pages that it keeps: by URL, prefix, tag, or all',
    details:
      'A URL without a host is meant for every host. `/films/*` is all below `/films/`. Tags come from the service (`Surrogate-Key`, `Cache-Tag`) and from `tags` of the route. Peers of `edge.cache.peers` are told as well. Exit code 1 when somebody did not.',
    arguments: [
      {
        name: 'url',
        text: 'URLs: https://shop.example/films, shop.example/films, /films, /films/*',
        optional: true,
        many: true,
      },
    ],
    options: [
      { flags: '-t, --tag <tag>', text: 'Pages with this tag; can be given several times', many: true },
      { flags: '-p, --prefix <prefix>', text: 'Everything below; can be given several times', many: true },
      { flags: '--all', text: 'Everything' },
      { flags: '--soft', text: 'Stale from now on, instead of gone: served while it is fetched anew' },
    ],
    examples: [
      ['purge https://shop.example/films', 'one page'],
      ['purge --tag film:7 --tag films', 'all pages that show film 7, and all lists'],
      ['purge --prefix /films --soft', 'pages below /films/ are validated with their next request'],
    ],
    load: async () => (await import('./commands/purge.ts')).purge,
  },
  {
    name: 'push',
    summary: 'Put pages into the cache ahead of their first request',
    details:
      'Each URL is asked for as a client would; with --file, its content is stored as if the service had sent it. What a route would not keep is not kept, and said. Exit code 1 when something was not stored.',
    arguments: [{ name: 'url', text: 'Absolute URLs, with the host that clients ask for', many: true }],
    options: [
      { flags: '--file <file>', text: 'Store this file, of at most 16 MB' },
      { flags: '--type <type>', text: 'Its Content-Type (default: application/octet-stream)' },
      { flags: '--ttl <duration>', text: 'How long it is fresh (default: 1h)' },
      { flags: '-t, --tag <tag>', text: 'A tag of it; can be given several times', many: true },
    ],
    examples: [
      ['push https://shop.example/ https://shop.example/films', 'before the doors open'],
      ['push https://shop.example/plan.pdf --file plan.pdf --type application/pdf --ttl 1d', 'a body'],
    ],
    load: async () => (await import('./commands/purge.ts')).push,
  },
  {
    name: 'cache',
    summary: 'Look at caches: the one of the edge, and those of services in Redis; have these forget',
    details:
      'Without --of it is about the cache of the edge: what it holds, how often it serves, why a page is not in it. With --of it is about an application cache (`tenfold/cache`) of that name, in the Redis servers of `caches`: `status`, `get` and `purge`. What the edge keeps is purged by `tenfold purge`.',
    arguments: [
      {
        name: 'action',
        text: 'status; look: what the edge stores for a URL; get: an entry; purge: forget a key. Left out: status',
        choices: ['status', 'look', 'get', 'purge'],
        optional: true,
        neverFile: true,
      },
      { name: 'what', text: 'look: an absolute URL; get, purge: a key', optional: true, neverFile: true },
    ],
    options: [
      { flags: '--of <name>', text: 'Name of the application cache, as its service has it' },
      { flags: '--redis <name>', text: 'Which of `caches`', default: 'main' },
      {
        flags: '-t, --tag <tag>',
        text: 'purge: entries with this tag; can be given several times',
        many: true,
      },
      { flags: '--all', text: 'purge: all entries of the application cache' },
      { flags: '--soft', text: 'purge: expired, instead of gone' },
    ],
    examples: [
      ['cache', 'entries, bytes, hit ratio by route, evictions, purges, disk, peers'],
      ['cache look https://shop.example/films', 'its key, age and freshness, or why nothing is stored'],
      ['cache status --of films', 'the Redis servers that the cache `films` uses'],
      ['cache get 7 --of films', 'what is stored under the key 7'],
      ['cache purge --of films --tag new', 'in every instance'],
    ],
    load: async () => (await import('./commands/cache.ts')).cache,
  },
  {
    name: 'guard',
    summary:
      'Look at who is refused and why; ban, allow, unban; verify the audit log; API keys and passwords',
    details:
      '`status` counts since the edge process began: requests by policy, findings by rule (refused, or only detected), bans in force. `ban` and `allow` take effect at once in every edge process, for open connections too, and last over restarts; an allowance is asked before every ban. `unban` takes back what was said of an address or block, and ends bans that rules gave inside of it. `explain` shows why a request was refused, or would have been, by the id on its page. `verify` reads the audit log and says whether a line was changed or removed; exit code 1 when one was. `rooms` shows waiting rooms and quotas, and opens, pauses, closes or sells out one; `lottery` says whether a line was drawn as its room had promised (exit code 1: it was not), from what the room publishes, without asking it. Bans for good belong into the file: `guard.ban`, `guard.allow`. `key new NAME` makes an API key in the file of `guard.identity.keys`, and shows it once; `key list` shows whose there are, `key revoke ID` takes one back: edges know within a few seconds, and the system need not run. `password USER` asks for a password, or reads it from a pipe, and prints a line for a file of `guard.identity.basic`.',
    arguments: [
      {
        name: 'action',
        text: 'Left out: status',
        choices: [
          'status',
          'ban',
          'allow',
          'unban',
          'explain',
          'verify',
          'rooms',
          'lottery',
          'key',
          'password',
        ],
        optional: true,
        neverFile: true,
      },
      {
        name: 'what',
        text: 'ban, allow, unban: an address (192.0.2.7), a block (192.0.2.0/24, 2001:db8::/48); explain: the id of a request; rooms: the name of one; lottery: a file of places; key: new, list or revoke; password: the user',
        optional: true,
        neverFile: true,
      },
      {
        name: 'mode',
        text: 'rooms NAME: open, paused, closed or sold-out; key new, list: a name of guard.identity.keys; key revoke: the id of a key',
        optional: true,
        neverFile: true,
      },
    ],
    options: [
      {
        flags: '--for <duration>',
        text: 'ban, allow: how long, such as 10m, 1h, 7d (default: until it is taken back)',
      },
      { flags: '--reason <text>', text: 'ban, allow: why, for others who look' },
      {
        flags: '--yes',
        text: 'ban, allow: also a block wider than /8 (IPv6: /32), this host, a trusted proxy, or your own address',
      },
      { flags: '--head <hash>', text: 'verify: the log must hold this line, or one that goes on from it' },
      { flags: '--commitment <hex>', text: 'lottery: what was published before the draw' },
      { flags: '--seed <hex>', text: 'lottery: what was published after it' },
      { flags: '--code <code>', text: 'lottery: whose place to tell' },
      { flags: '--holder <name>', text: 'key new: whose it is (default: NAME); limits by key count by it' },
      { flags: '--scopes <list>', text: 'key new: what it may do, such as orders:read,orders:write' },
      { flags: '--expires <when>', text: 'key new: after a duration (90d) or at a date (default: never)' },
      { flags: '--print', text: 'key new: print it also where no terminal is' },
    ],
    examples: [
      ['guard', 'who was refused by which rule, who is banned'],
      ['guard ban 192.0.2.0/24 --for 1h --reason "tries passwords"', 'nobody from there, for an hour'],
      ['guard allow 198.51.100.7', 'never banned, limited by address, or challenged'],
      ['guard unban 192.0.2.0/24', 'as if nothing had been said of it'],
      ['guard explain 5f2c9a1e-42', 'why this request was refused, and what would have passed'],
      ['guard verify', 'the audit log is as it was written'],
      ['guard rooms', 'who waits, who is inside, what was sold'],
      ['guard rooms drop sold-out', 'nobody is let in any more; those who wait are told'],
      ['guard key new partners --holder acme --scopes orders:read --expires 90d', 'a key, shown once'],
      ['guard key revoke 5f2c9a1e42d7', 'nobody is believed by it any more'],
      ['guard password ann >> ops.passwords', 'a line for a file of guard.identity.basic'],
      ['guard lottery places.txt --commitment 5f...e1 --seed 0c...77', 'was the draw as promised?'],
    ],
    takesEnvironment: true,
    load: async () => (await import('./commands/guard.ts')).guard,
  },
  {
    name: 'db',
    summary: 'Look at the databases, move the primary, repair, back up, restore, log in',
    details:
      'NAME is needed where there are several databases. `switchover` is planned: nobody gets an error for a transaction that ends within the hold. `failover` gives the primary up; with --lossy also when acknowledged commits may be missing. `rebuild` makes a replica anew. `pause` stops failovers and repairs until `resume`. `shards` shows what lies on each shard of a database that has `shards`, and how hot shards and slots are; `advise` says which indexes statements lack (tried on copies of their tables) and which are there for nothing, which tables to cut into partitions, and with `shards` what to do about hot spots, and does nothing itself (docs/operate/advice.md); `partitions` shows the tables that the file says `partitions` of, and what is due (docs/operate/partitions.md); `reshard` moves rows between shards while clients go on: without an option evenly over all shards of the file; `--status` shows how far it is, `--finish` deletes what is left behind, `--rollback` brings everything back; where a comparison finds rows that differ, `--recopy` copies their tables once more (docs/operate/resharding.md). `directory TABLE` shows which keys of a directory are on which shard; `--set` and `--move` place one key. `drift` compares their schemas, `dangling` looks for references (foreign keys that are NOT ENFORCED) to rows that no shard has. `unique` shows which columns are unique over all shards, and with --verify compares all rows with their look-up tables and puts these right (docs/operate/unique-columns.md). `copies` shows copies of tables by another key, and how far behind they are; --rebuild fills one again (docs/operate/copies.md). `verify` compares rows between primary and replicas. `export` writes the rows of every table into an empty folder, as they were at one moment, on all shards (docs/operate/export.md). `split-columns TABLE --cold a,b` makes a hot and a cold table of one, behind a view of its name, while clients go on (docs/operate/split-columns.md). `restore` fills a database of a new name, and touches no other. `reset` deletes all data of a database of a stopped system, and asks first. docs/operate/databases.md says more. Exit code 1 where `verify`, `drift`, `dangling` or `unique` find something, or a drill a bad backup.',
    arguments: [
      {
        name: 'action',
        text: 'Left out: status',
        optional: true,
        neverFile: true,
        choices: [
          'status',
          'psql',
          'switchover',
          'failover',
          'rebuild',
          'pause',
          'resume',
          'settings',
          'slow',
          'shards',
          'advise',
          'partitions',
          'reshard',
          'directory',
          'drift',
          'dangling',
          'unique',
          'copies',
          'export',
          'split-columns',
          'verify',
          'backup',
          'backups',
          'restore',
          'drill',
          'reset',
        ],
      },
      {
        name: 'name',
        text: 'The database, as in the file; for `rebuild` the server, for `split-columns` and `directory` the table',
        optional: true,
      },
    ],
    options: [
      {
        flags: '--to <what>',
        text: 'switchover, failover: the server; restore: a moment (ISO 8601) or latest; export: the folder',
      },
      { flags: '--format <how>', text: 'export: csv (default) or binary, as COPY writes them' },
      { flags: '--lossy', text: 'failover: also when acknowledged commits may be missing' },
      { flags: '--reason <text>', text: 'pause: why, for whoever looks at the status' },
      {
        flags: '--into <name>',
        text: 'restore: name of the new database (default NAME-restored); reshard: the shard that gets the rows',
      },
      { flags: '--split <shard>', text: 'reshard: half of what this shard has' },
      { flags: '--merge <shard>', text: 'reshard: all of what this shard has' },
      { flags: '--slots <range>', text: 'reshard: these slots (0-99) of one --family' },
      { flags: '--family <table>', text: 'reshard: the table that names the family' },
      { flags: '--rule <table>', text: 'reshard: to the rule that the changed file says for it' },
      { flags: '--keys', text: 'shards: the hottest keys, too (they may be about people)' },
      { flags: '--rebuild <copy>', text: 'copies: fill this one again from the beginning' },
      { flags: '--verify', text: 'unique: compare all rows with the look-up tables' },
      { flags: '--no-verify', text: 'advise: try no index on a copy of its table' },
      { flags: '--now', text: 'partitions: make and take away what is due' },
      { flags: '--isolate <key>', text: 'reshard: one key (orders=42; of two columns: orders=eu,42)' },
      { flags: '--cold <columns>', text: 'split-columns: what goes to the cold half (plot,poster)' },
      { flags: '--set <key>', text: 'directory: gives this key, which has no place, the shard of --into' },
      { flags: '--move <key>', text: 'directory: moves the rows of this key to the shard of --into' },
      { flags: '--key <key>', text: 'directory: only this one' },
      { flags: '--after <key>', text: 'directory: the keys behind this one' },
      { flags: '--db <name>', text: 'split-columns, directory: the database, where there are several' },
      { flags: '--dry-run', text: 'reshard, split-columns: only what would be, and what is in the way' },
      {
        flags: '--finish-at-once',
        text: 'reshard: delete what is left behind without being told: no way back',
      },
      { flags: '--status', text: 'reshard, split-columns: the one under way, or the last one' },
      { flags: '--cancel', text: 'reshard, split-columns: ends it, before the switch' },
      { flags: '--undo', text: 'split-columns: one table again, before --finish' },
      {
        flags: '--finish',
        text: 'reshard, split-columns: deletes what is left behind, after the switch: no way back',
      },
      { flags: '--rewrite', text: 'split-columns --finish: the hot table gets small at once; clients wait' },
      { flags: '--rollback', text: 'reshard: back to how it was, with what was written since' },
      { flags: '--recopy', text: 'reshard: copies the tables with rows that differ once more' },
      { flags: '--as <service>', text: 'psql: as this service, through the router' },
      { flags: '--primary', text: 'psql: to the primary itself, as superuser' },
      { flags: '--server <id>', text: 'psql: to this server itself, as superuser' },
      { flags: '-c, --command <sql>', text: 'psql: run this and end' },
      { flags: '--yes', text: 'reset: do not ask' },
    ],
    examples: [
      ['db', 'every database: role, state and lag of each server, pools, what waits and why'],
      ['db psql --as api', 'psql with the rights of a service'],
      ['db switchover --to main-2', 'before the host of the primary is looked after'],
      ['db reshard', 'even over all shards, after `shards.count` was raised'],
      ['db reshard --split 1 --into 3', 'half of shard 1 goes to shard 3'],
      ['db shards', 'rows, bytes, reads and writes of each table, shard by shard; what is hot'],
      ['db export main --to exports/monday', 'every table as CSV, one moment over all shards'],
      ['db split-columns films --cold plot,poster', 'what is seldom read goes to a table of its own'],
      ['db rebuild main-3', 'a replica that has to be copied again'],
      ['db restore main --to 2026-03-04T05:06:07Z', 'as it was then, as main-restored'],
      ['db reset main', 'delete all its data (the system is stopped)'],
    ],
    load: async () => (await import('./commands/db.ts')).db,
  },
  {
    name: 'routes',
    summary: 'Make routes of an OpenAPI description',
    details:
      'Reads OpenAPI 3.0 or 3.1, YAML or JSON, and prints the `routes` of the file: a path template becomes a path with `:names`, methods of a path come together, paths of servers and --prefix go before. What has no counterpart in a route is said as a warning with its line.',
    arguments: [
      { name: 'action', text: 'import', choices: ['import'] },
      { name: 'description', text: 'The OpenAPI file' },
    ],
    takesFile: false,
    options: [
      { flags: '--service <name>', text: 'Where the routes lead', default: 'api' },
      {
        flags: '--prefix <path>',
        text: 'Goes before every path, and is taken off on the way to the service',
      },
      { flags: '--write <file>', text: 'Write a TypeScript module that exports them' },
    ],
    examples: [
      ['routes import openapi.yaml --service api --prefix /api', 'routes to paste into the file'],
      ['routes import openapi.json --write api-routes.ts', "for import { routes } from './api-routes.ts'"],
    ],
    load: async () => (await import('./commands/routes.ts')).routes,
  },
  {
    name: 'history',
    summary: 'List the last systems that were applied',
    examples: [['history', 'the latest ten, newest first']],
    load: async () => (await import('./commands/history.ts')).history,
  },
  {
    name: 'stop',
    summary: 'Stop the running system',
    details:
      'Drains as Ctrl-C does and waits for the end. Also ends what a supervisor that died left running.',
    options: [
      { flags: '--now', text: 'Do not wait for requests in flight' },
      { flags: '--wait <seconds>', text: 'How long to wait for the end', default: '900' },
    ],
    examples: [
      ['stop', 'drain and stop'],
      ['stop --now', 'end everything at once'],
    ],
    load: async () => (await import('./commands/stop.ts')).stop,
  },
  {
    name: 'doctor',
    summary: 'Look whether this machine is fit to run the system, with a remedy for each finding',
    details: 'Exit code 1 when something fails; warnings alone are 0.',
    takesEnvironment: true,
    examples: [['doctor', 'ports, file limits, memory, disk, clock, permissions, versions']],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'export',
    summary: 'Print what other tools need to run the system',
    details:
      'keepalived moves one address between two hosts that run the same system; it asks the health listener (`edge.health`). docs/operate/redundant-pair.md says how.',
    arguments: [
      {
        name: 'what',
        text: 'systemd: a service unit; keepalived: the configuration of one of two hosts',
        choices: ['systemd', 'keepalived'],
      },
    ],
    options: [
      { flags: '--user <name>', text: 'systemd: the user of the unit' },
      { flags: '--address <address/bits>', text: 'keepalived: the shared address; several with commas' },
      { flags: '--interface <name>', text: 'keepalived: the network interface that gets it' },
      {
        flags: '--router-id <number>',
        text: 'keepalived: 1 to 255, the same on both hosts, unique on the network',
        default: '51',
      },
      { flags: '--priority <number>', text: 'keepalived: 1 to 254, different on both hosts', default: '100' },
      { flags: '--own <address>', text: 'keepalived: this host, for unicast' },
      { flags: '--peer <address>', text: 'keepalived: the other host, for unicast' },
    ],
    takesEnvironment: true,
    examples: [
      ['export systemd --user shop > /etc/systemd/system/shop.service', 'a unit that runs as the user shop'],
      [
        'export keepalived --address 192.0.2.10/24 --interface eth0 --priority 101',
        'for /etc/keepalived/keepalived.conf of the first host; the second gets --priority 100',
      ],
    ],
    load: async () => (await import('./commands/export.ts')).exportUnit,
  },
  {
    name: 'run',
    summary: 'Run one role of a system in this process; `tenfold up` does this by itself',
    arguments: [
      {
        name: 'role',
        text: 'edge: the front door; router: before the databases',
        choices: ['edge', 'router'],
      },
    ],
    takesFile: false,
    options: [{ flags: '--state <dir>', text: 'The state directory' }],
    examples: [['run edge --state .tenfold', 'the front door, from the snapshot in the state directory']],
    load: async () => (await import('./commands/run.ts')).run,
  },
]

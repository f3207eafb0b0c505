// Injection into queries: SQL, document databases, directories (LDAP), XPath, and into XML.

import { anyOf, type BuiltinRule, entities, inputs, inputsAndHeaders, names, sql } from './write.ts'

const value = String.raw`(?:'[^']{0,32}'?|\x22[^\x22]{0,32}\x22?|-?\d{1,12}|true|false|null|0x[0-9a-f]{2,})`
const noSql =
  '(?:ne|eq|gte?|lte?|n?in|regex|where|exists|n?or|and|not|expr|elemmatch|type|func|size|all|mod|options)'

export const databaseRules: readonly BuiltinRule[] = [
  {
    id: 9000100,
    message: 'SQL injection by its grammar',
    tag: 'sqli',
    targets: inputsAndHeaders,
    transformations: ['utf8toUnicode', 'urlDecodeUni', 'removeNulls'],
    operator: '@detectSQLi',
    // In long texts with line ends code and quotations look alike to it: there a word of SQL must be.
    also: anyOf(
      String.raw`^[^\n]{0,160}['\x22\x60=#][^\n]{0,160}$`,
      String.raw`\b(?:select|union|insert|update|delete|drop|exec|sleep|benchmark|waitfor|having|declare|substr|ascii|concat)\b[\s(/*+@'\x22]`,
      String.raw`['\x22\)\d]\s*(?:--|#|/\*)`,
    ),
    score: 5,
  },
  {
    id: 9000110,
    message: 'SQL: a second query',
    tag: 'sqli',
    targets: inputsAndHeaders,
    transformations: sql,
    operator: anyOf(
      String.raw`\bunion(?:\s|all|distinct|[(@])+select\b`,
      String.raw`\(\s*select\s*(?:\*|@@|\(|\d|'|count\s*\(|char\s*\(|concat|group_concat|user\b|version\s*\(|database\s*\(|null\b|case\s|if\s*\(|distinct\s|top\s+\d|pg_|sleep)`,
      String.raw`\(\s*select\s+[\w.\x60\[\]]{1,40}(?:\s*,\s*[\w.\x60]{1,40}){0,8}(?:\([\w.,* ]{0,40}\))?\s+from\s`,
      String.raw`(?:\br?like|\bregexp|\bin|[=<>])\s*\(+\s*select\b`,
    ),
    score: 5,
  },
  {
    id: 9000111,
    message: 'SQL in an executable comment',
    tag: 'sqli',
    targets: inputs,
    transformations: ['utf8toUnicode', 'urlDecodeUni', 'urlDecodeUni', 'lowercase'],
    operator: anyOf(
      String.raw`/\*!\d{5}`,
      String.raw`/\*!\d{0,6}(?:union|select|and|or|where|if|sleep|concat|from|order|all|insert|update|delete)\b`,
      String.raw`(?:union|select|or|and|from|where)/\*[^*]{0,40}\*/(?:all|select|from|\d|'|\(|\w+\s*[=(])`,
    ),
    score: 5,
  },
  {
    id: 9000112,
    message: 'SQL: a condition that is always true or false',
    tag: 'sqli',
    targets: inputsAndHeaders,
    transformations: sql,
    operator: anyOf(
      String.raw`(?:^|[\s'\x22\x60\)\d(,;%])(?:or|and|xor|&&|\|\||having|where)[\s(!+~]*(?:not[\s(]+)?${value}[\s)]*(?:<=>|<>|!=|[=<>]|r?like\b|regexp\b|sounds\s+like)[\s(]*${value}`,
      String.raw`['\x22\)]\s*(?:or|and|xor|&&|\|\|)[\s(]+(?:not\s+)?[\w.@]{1,40}\s*(?:<=>|<>|!=|=|r?like\b|is\s+(?:not\s+)?null)\s*(?:['\x22(\d@]|$|--|#)`,
      String.raw`^['\x22\)]+\s*(?:or|and|xor|&&|\|\|)[\s(]*(?:not\s+)?(?:['\x22\d(!~@-]|select\b)`,
      String.raw`['\x22\)\d]\s*(?:or|and)\s+(?:not\s+)?(?:exists|isnull|ascii|length|substr(?:ing)?|mid|lower|ord|char|database|user|version|if|elt)\(`,
      String.raw`(?:^|['\x22\)\d]\s*)(?:or|and)\s+\d+\s*(?:=|--|#|$)`,
      String.raw`(?:^|['\x22\)\d]\s*)or\s+(?:true|not\s+false)\b\s*(?:--|#|$|/|;|\))`,
    ),
    score: 5,
  },
  {
    id: 9000113,
    message: 'SQL: what only databases know',
    tag: 'sqli',
    targets: inputsAndHeaders,
    transformations: sql,
    operator: anyOf(
      String.raw`\bpg_sleep(?:_for|_until)?\s*\(|\bwaitfor\s+(?:delay|time)\b|\bdbms_(?:pipe\.receive_message|lock\.sleep|session\.sleep|xmlgen|utility\.sqlid|ldap)|\butl_(?:inaddr|http|smtp|file)\.|ctxsys\.drithsx`,
      String.raw`\bxp_(?:cmdshell|dirtree|reg\w+|fileexist|servicecontrol|availablemedia|loginconfig|makecab|ntsec\w*|terminate_process|enumdsn)\b|\bsp_(?:executesql|makewebtask|oa\w+|addextendedproc|password|addlogin|addsrvrolemember|configure)\b`,
      String.raw`\bopen(?:rowset|datasource|query)\s*\(|\bmaster\.\.\w|\binformation_schema\b|\bsys(?:ibm|cat)\.|\bsqlite_(?:master|schema)\b|\bmysql\.user\b|\bpg_(?:shadow|catalog)\b|\bmsysaccessobjects\b|\b(?:all|user)_(?:tab_columns|tables)\b|\bsys(?:objects|columns|databases)\b|\brdb\$\w|\bdomain\.domains\b|\bv\$version\b`,
      String.raw`@@(?:version|hostname|datadir|servername|basedir|identity|global)\b|\binto\s+(?:out|dump)file\b|\bload_file\s*\(|\bload\s+data\s+(?:local\s+)?infile\b`,
      String.raw`\bbenchmark\s*\(\s*\d+\s*,|\b(?:extractvalue|updatexml|json_keys|gtid_subset|make_set|regexp_substring|randomblob|xmltype|st_latfromgeohash|geometrycollection|polygon|multipoint)\s*\(\s*[('\d0x\x22(s]|\bprocedure\s+analyse\b|\bgenerate_series\s*\(\s*\d|\belt\s*\(\s*\d+\s*[=,]|\bexp\s*\(\s*~|\brow\s*\(\s*\d+\s*,\s*\d+\s*\)\s*[=<>]`,
      String.raw`\b(?:cha?r|nchar|unhex|to_char)\s*\(\s*(?:0x[0-9a-f]+|\d{1,3})\s*(?:,\s*\d|\)\s*(?:\|\||&|\+|,|\.))|\bconcat(?:_ws)?\s*\(\s*(?:0x|char\(|'|\(select|user|@@|\x22)`,
      String.raw`(?:['\x22\d;(|&,=]|\bselect|\bif\s*\(|\bthen|\belse)\s*(?:(?:and|or|xor)\s+)?\(?(?:select\s+)?sleep\s*\(\s*[\d(\[]`,
      String.raw`\bascii\s*\(\s*(?:substr|mid|lower|\(|right|left)|\bsubstr(?:ing)?\s*\(\s*\(?\s*(?:select|version|user|database|@@|password|current)|\bcast\s*\(\s*\(?\s*(?:select|cha?r\s*\(|version|user|'|0x)|\bconvert\s*\(\s*int\s*,|\bcount\s*\(\s*\*?\s*\)\s+from\s|\bctxsys\b|\bnvl\s*\(\s*(?:cast|to_char)`,
      String.raw`\bcase\s+when\s.{1,80}\sthen\s.{1,80}\s(?:else|end)\b|\bii?f\s*\(\s*\(?\s*['\x22]?\w{1,12}['\x22]?\s*[=<>]+\s*['\x22]?\w{1,12}['\x22]?\s*,|\bmake_set\b|\bcrypt_gen_random\b`,
    ),
    score: 5,
  },
  {
    id: 9000114,
    message: 'SQL: another statement, or the end of one',
    tag: 'sqli',
    targets: inputs,
    transformations: sql,
    operator: anyOf(
      String.raw`(?:['\x22\)\d]|^)\s*;\s*(?:select\b|insert\s+into|update\s+\w+\s+set|delete\s+from|drop\s+(?:table|database|user|schema|view|index|column)|alter\s+(?:table|database|user)|create\s+(?:table|user|database|login|function|procedure|or\s+replace)|exec(?:ute)?[\s(]|declare\s+[@\w]|shutdown\b|truncate\s+table|grant\s+\w+|waitfor|rename\s+table|copy\s+\w+|merge\s+into|call\s+[\w.]+\s*\(|set\s+@|dbms_|begin\s+dbms)`,
      String.raw`^\s*(?:insert\s+into\s+\w+\s*(?:\(|values)|delete\s+from\s+\w+\s*(?:where\b|;|$)|update\s+\w+\s+set\s+\w+\s*=|drop\s+(?:table|database)\s+\w+\s*(?:;|--|$)|truncate\s+table\s+\w|exec(?:ute)?\s+(?:xp_|sp_|immediate|master)|select\s+(?:\*|count\s*\(|@@)[^;]{0,60}\bfrom\s|declare\s+@\w+)`,
      String.raw`^[^\s'\x22]{0,40}['\x22\x60]\s*\)*\s*;?\s*(?:--|#|/\*|\x00)`,
      String.raw`['\x22\)\d]\s*(?:order|group)\s+by\s+\d+\s*(?:--|#|,|$|;|/|\))|\bhaving\s+(?:\d+\s*=|['\x22]\w{0,10}['\x22]\s*=)|['\x22\)]\s*limit\s+\d+\s*(?:,\s*\d+\s*)?(?:--|#|into|union|procedure)`,
      String.raw`'\s*\|\|\s*\(?\s*(?:select|utl_|dbms_|chr|cast|case|')|'\s*\+\s*(?:convert|cast|char|\(select|@@|user)\b|^\d+\s*(?:--\s*$|#$|;--|/\*$)|^\d+\s*'\s*$`,
      String.raw`\bunion\s+(?:all\s+)?(?:null|\d+|'|values)|\bwhere\s+\d+\s*=\s*\d+|\bexec\s*\(\s*(?:@|'|char|0x|xp_)|\bexecute\s+immediate\b|^\s*'\s*(?:exec|having|group\s+by|order\s+by|union|like|in|between)\b|%'\s*(?:--|and|or|#)|^\s*(?:order|group)\s+by\s+\d+\s*(?:--|#)`,
    ),
    score: 5,
  },
  {
    id: 9000120,
    message: 'NoSQL: an operator where a value is expected',
    tag: 'nosqli',
    targets: names,
    transformations: ['urlDecodeUni', 'lowercase'],
    operator: anyOf(String.raw`\[\$${noSql}\]`, String.raw`(?:^|\.)\$${noSql}(?:\.|$)`),
    score: 5,
  },
  {
    id: 9000121,
    message: 'NoSQL injection',
    tag: 'nosqli',
    targets: inputs,
    transformations: sql,
    operator: anyOf(
      String.raw`\{\s*['\x22]?\$${noSql}['\x22]?\s*:`,
      String.raw`\$where\b|['\x22]\s*(?:\|\||&&)\s*(?:['\x22]?[\w.]{1,20}['\x22]?\s*[!=]==?|this\.|true\b|1\s*(?:==|//|;|$))|\bthis\.\w{1,32}\s*(?:[!=]==?|\.match\s*\(|\.length)|\bdb\.\w{1,32}\.(?:find|drop|insert|remove|update|aggregate)\w*\s*\(|['\x22]\s*;\s*(?:return|while|sleep|do)\b|\bnew\s+date\s*\(\s*\)\s*[;)-]`,
    ),
    score: 5,
  },
  {
    id: 9000130,
    message: 'LDAP or XPath injection',
    tag: 'ldapi',
    targets: inputs,
    transformations: entities,
    operator: anyOf(
      String.raw`\*\)+\s*\(?\s*[|&!(]|\)\s*\(\s*[|&!]\s*(?:\(|$)|\(\s*[|&]\s*\(\s*[\w-]{1,32}\s*[~<>]?=|\*\)+\s*\(\s*[\w-]{1,32}\s*[~<>]?=|\)\s*\(\s*(?:uid|cn|sn|mail|objectclass|userpassword|samaccountname|ou|dc)\s*[~<>]?=|^\*\(\||^[\w*]{0,20}\)\(?[&|]|\(objectclass=|^\*\)+(?:\x00|%00|$)`,
      String.raw`\b(?:parent|child|ancestor|descendant|following|preceding)(?:-or-self|-sibling)?::(?:\*|\w+|node)|\bcount\s*\(\s*(?:/|parent|child|\.\.)|\bstring-length\s*\(\s*(?:name|//|/|\w+\[)|/\*\[\s*\d|\bsubstring\s*\(\s*(?:name|//|/)|\bor\s+\w{0,10}\s*name\s*\(\s*\)\s*=|\]\s*\|\s*//?\w|(?:'|\x22)\s*\]\s*(?:\||/)`,
    ),
    score: 5,
  },
  {
    id: 9000131,
    message: 'XML: entities, inclusion, server-side includes',
    tag: 'xxe',
    targets: inputs,
    transformations: entities,
    operator: anyOf(
      String.raw`<!entity\b|<!doctype\s+[\w:-]{1,64}\s*(?:\[|system\s)|<!doctype\s+[\w:-]{1,64}\s+public\s+['\x22][^'\x22]{0,100}['\x22]\s*['\x22](?:file|php|ftp|gopher|http://\d)|<xi:include\b|xmlns:xi\s*=|<!element\s|<!attlist\s|<xsl:(?:value-of|copy-of|include|import|variable|stylesheet)\b|<!--#\s*(?:exec|include|echo|config|printenv|set|fsize|flastmod)\b|<esi:(?:include|inline|remove|vars)\b|<!\[cdata\[\s*<|<\?xml-stylesheet`,
    ),
    score: 5,
  },
]

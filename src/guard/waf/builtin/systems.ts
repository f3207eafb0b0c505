// Injection into the machine behind the application: commands, paths and files, requests that it should make, objects that
// it should unpack, lookups in what it logs.

import {
  anyOf,
  type BuiltinRule,
  everyHeader,
  inputs,
  inputsAndHeaders,
  names,
  path,
  plain,
  shell,
} from './write.ts'

/** What ends one command and begins another. */
const cut = String.raw`(?:[;|&\x60]|\$\(|\$\{|\|\||&&|%0a|<\(|>\()`
/** A line end counts where the value has hardly begun: prose and code have line ends too. */
const early = String.raw`^[^\n\x60]{0,40}[\n\r]+`
const folder = String.raw`(?:(?:/usr)?(?:/local)?/s?bin/)?`
const ended = String.raw`\s*(?:[;|&\x60)#\n<>]|$|//|--|\x00|2>)`
/** For words that prose and code have too. */
const closed = String.raw`\s*(?:[;|&#]|$|//|\x00|2>)`
const hard = String.raw`(?:[;|&]|\$\(|%0a|<\(|>\()`

export const systemRules: readonly BuiltinRule[] = [
  {
    id: 9000300,
    message: 'A shell command',
    tag: 'rce',
    targets: inputs,
    transformations: shell,
    operator: anyOf(
      String.raw`(?:${cut}|${early})[\s({]*${folder}(?:cat|tac|head|tail|less|more|nl|od|xxd|strings|base64|grep|type)[\s<]+(?:-\w+\s+)*['\x22]?(?:/|\.\.?/|~|[a-z]:|\$|[\w%.-]+\.(?:conf|php|ini|txt|log|env|js|py|xml|yml))`,
      String.raw`(?:${cut}|${early})[\s({]*${folder}(?:whoami|uname(?:\s+-\w+)?|ifconfig|ipconfig(?:\s+/all)?|netstat(?:\s+-\w+)*|ps\s+-?(?:aux|ef|a)|printenv|ls(?:\s+-\w+)+(?:\s+[/.~]\S*)?|ls\s+[/.~]\S*|systeminfo|tasklist|phpinfo\(\)|net\s+(?:user|localgroup|view)\b[^;|&]{0,20}|arp\s+-a|route\s+print|df\s+-h)${ended}`,
      String.raw`(?:${hard}|${early})[\s({]*${folder}(?:id|ls|ps|pwd|env|set|who|dir(?:\s+[\w:\x5c/.]+)?|ver|hostname|last|date|mount|echo)${closed}`,
      String.raw`(?:${cut}|${early})[\s({]*${folder}(?:wget|curl|fetch|lwp-download|lynx|tftp|scp)\s+[^;|&\n]{0,100}(?:https?:|ftp:|\d{1,3}\.\d{1,3}\.|//|\$\()`,
      String.raw`(?:${cut}|${early})[\s({]*${folder}(?:nc|ncat|netcat|telnet|socat|bash|sh|zsh|ksh|dash|python[23]?|perl|ruby|php|lua|awk|powershell|pwsh|cmd(?:\.exe)?|certutil|bitsadmin|mshta|rundll32|regsvr32|wscript|cscript)(?:\.exe)?\s+(?:-[a-z]+\s|-[a-z]$|/[ck]\b|\d{1,3}\.\d|\S+\s+\d{2,5}\b|['\x22<>]|/dev/)`,
      String.raw`(?:${cut}|${early})[\s({]*${folder}(?:ping|nslookup|dig|traceroute)\s+(?:-\w+\s+\d*\s*)*[\w.-]+\.[\w.-]+|(?:${cut}|${early})[\s({]*${folder}sleep\s*\d|(?:${cut}|${early})[\s({]*${folder}(?:rm\s+-|chmod\s+[\d+ugo]|kill\s+-|useradd\s|shutdown\s+-|touch\s+/|mv\s+\S*/|cp\s+\S*/|mkdir\s+/|expr\s+\d|printf\s+['\x22]|find\s+[/.]|timeout\s+\d|start-sleep|rmdir\s|del\s+/)|[;|][\s({]*${folder}echo\s+(?:['\x22\x60$<\d-]|\w+\s*(?:[>;|&\x60)]|$))`,
      String.raw`/dev/(?:tcp|udp)/|\b(?:ba)?sh\s+-i\b|\bnc\s+(?:-\w+\s+)*-\w*e\b|\bmkfifo\s+/|\bcmd(?:\.exe)?\s*/[ck]\s|\bpowershell(?:\.exe)?\s+-(?:e|enc|nop|w|c|command|exec|ep)\w*\s|(?:^|[;|&\x60=\s'\x22(/])(?:usr/)?bin/(?:cat|id|ls|nc|wget|curl|uname|whoami|ps|ping|sleep|echo|touch|(?:ba|da|z|k)?sh\s+-[ci])\b`,
      String.raw`\$\(\s*(?:cat|id|whoami|ls|uname|curl|wget|sleep|nslookup|ping|echo|printf|expr|hostname|env|base64|rev|xxd|bash|sh)\b|\x60\s*(?:id|whoami|uname\s+-a|sleep\s+\d+|cat\s+/\S+|ls\s+/\S*|ping\s+-\w+|nslookup\s+\S+)\s*\x60|\$\{?ifs\b|\$\(\(\s*\d+\s*[*+]\s*\d+\s*\)\)|\{(?:cat|ls|id|wget|curl|nc|ping|bash|sh|echo|sleep),[^}]{1,80}\}|(?:^|[^<])<<<\s*['\x22$]|/\?[\w?]?\?[\w?]{0,3}/[\w?]*\?|\$\{path[:%#]|\$\{?shell\b|\$'\x5cx[0-9a-f]`,
      String.raw`^\w{0,16}[;|&\x60]+\s*\w{2,16}\s*[;|&\x60]+\s*$|^['\x22\)]+\s*[;|&]+\s*\w{2,12}|^\|\s*\w{2,16}\s*$|^\w{1,16}\x60[^\x60]{0,40}\x60$|^\w{0,16}\x60\)\x60$|^&\s*\w{2,12}\s*&$`,
    ),
    score: 5,
  },
  {
    id: 9000301,
    message: 'A shell command with its letters hidden',
    tag: 'rce',
    targets: inputs,
    transformations: ['urlDecodeUni', 'urlDecodeUni', 'removeNulls', 'cmdLine'],
    operator: anyOf(
      String.raw`(?:^|[|&\x60(\s])${folder}(?:cat|tac|head|tail|nl|more|less|strings)(?:\s|\$ifs|\$\{ifs\}|<)+(?:/etc/|/proc/|/root/|/home/|/var/log/|/windows/)\S`,
      String.raw`(?:\|\s*|&\s*|\x60\s*|\(\s*)(?:whoami|uname -a|id)(?:\s*[|&\x60)#]|$)`,
    ),
    score: 5,
  },
  {
    id: 9000302,
    message: 'Shellshock',
    tag: 'rce',
    targets: `${inputs}|${everyHeader}`,
    transformations: ['urlDecodeUni'],
    operator: String.raw`@rx ^\s*\(\s*\)\s*\{`,
    score: 5,
  },
  {
    id: 9000303,
    message: 'Code of PHP, Java, Python, Ruby or Node',
    tag: 'rce',
    targets: inputs,
    transformations: plain,
    operator: anyOf(
      String.raw`<\?(?:php\b|=)|\$_(?:get|post|request|cookie|server|files|session|env)\s*\[|\bphpinfo\s*\(\s*\)|\b(?:allow_url_include|auto_(?:ap|pre)pend_file|disable_functions|safe_mode|open_basedir|suhosin\.simulation)\s*=`,
      String.raw`(?:['\x22]\s*[;.)]+|^\w{0,10}[;)]+)\s*@?(?:system|passthru|shell_exec|phpinfo|eval|assert|exec|popen)\s*\(\s*(?:['\x22]|\)|\$_|base64_decode|chr\s*\()|^\s*@?(?:system|passthru|shell_exec|phpinfo|eval|assert)\s*\(|(?:['\x22]\s*[;.)]+|^\w{0,10}[;)]+|^)\s*@?(?:exit|die|print|echo|include|require)\s*\(?\s*(?:md5|\$_|base64_decode|chr)\s*[(\[]`,
      String.raw`\b(?:system|shell_exec|passthru|popen|proc_open|pcntl_exec)\s*\(\s*(?:['\x22](?:id|ls|cat|whoami|uname|wget|curl|ping|dir|sleep|net|cmd|nc|bash|sh)\b|\$_|chr|base64_decode)|\b(?:base64_decode|gzinflate|str_rot13|create_function|call_user_func(?:_array)?)\s*\(\s*(?:['\x22]|\$_|base64)|\bfile_(?:get|put)_contents\s*\(\s*['\x22](?:php:|/etc|\.\./|https?:)|\bvar_dump\s*\(|\bfopen\s*\(\s*['\x22](?:/etc|php:|c:)`,
      String.raw`\bjava\.lang\.(?:runtime|processbuilder|class|system|thread|string)\b|\bgetruntime\s*\(|\bprocessbuilder\s*\(|\bjavax\.script\b|\bgroovy\.|\bclass\.forname\b|@java\.|#_memberaccess|%\{\s*\(?#|\(#\w+\s*=|\bognl\b|\bxwork\b|\bcom\.opensymphony\b|\bmethodaccessor\b`,
      String.raw`\b__import__\s*\(|\bimport\s+(?:os|subprocess|socket|pty)\s*[;\n]|\bos\.(?:system|popen|exec\w*)\s*\(|\bsubprocess\.(?:popen|call|run|check_output)\s*\(|\bkernel\.(?:exec|system)|%x\s*[({\[]\s*\w|\bio\.popen\s*\(`,
      String.raw`\brequire\s*\(\s*['\x22](?:node:)?(?:child_process|vm)['\x22]\s*\)\s*\.|\bchild_process['\x22)\]]{0,3}\s*\.\s*(?:exec|spawn)|\bprocess\.(?:mainmodule|binding|dlopen)\b|\bglobal\.process\b|\bvm\.runin|\bspawnsync\s*\(`,
    ),
    score: 5,
  },
  {
    id: 9000310,
    message: 'A path out of its folder',
    tag: 'lfi',
    targets: `${inputs}|REQUEST_URI_RAW|FILES`,
    transformations: path,
    operator: anyOf(
      String.raw`(?:^|[=&?])[^\s]{0,120}?(?:^|[\x5c/;=:'\x22?&])\.\.[\x5c/]+(?:\.\.?[\x5c/]+)`,
      String.raw`^\.\.[\x5c/]|[=/\x5c]\.\.;[/\x5c]|[\x5c/]\.\.[\x5c/]+(?:etc|proc|var|usr|root|home|windows|winnt|boot|web-inf|inetpub|conf|config|logs?|\.\w)\b|(?:\.\.[\x5c/]+){3}|(?:\.{4}[\x5c/]{1,3}){2}|(?:^|[\x5c/=])\.{3,4}[\x5c/]{1,3}\.{3,4}[\x5c/]`,
      String.raw`(?:0x2e){2}(?:/|0x2f|0x5c|\x5c)|(?:%2e|\.){2}(?:%2f|%5c|%c0|%c1|%uff|%u22|%bg|%255|%%)|\.\.(?:\xc0\xaf|\xc1\x9c|\xc0\x2f|\xc1\x1c|\xc0\x5c|\xe0\x80\xaf|\xc1\xaf|\xc0\x9v|\xc1\x8s|\xf0\x80\x80\xaf|0x2f|0x5c|%%35|%25)|(?:\xc0\xae|\xc0\x2e|\xe0\x40\xae|\xe0\x80\xae|\xc0n|\xc0\xef){2}|(?:\.\xc0\xae|\xc0\xae\.)|\.\.\x5c\.\.|(?:[\x5c/]\.){4,}|\.\.[\x5c/]\x00`,
    ),
    score: 5,
  },
  {
    id: 9000311,
    message: 'A file of the system, or of the application',
    tag: 'lfi',
    targets: `${inputs}|FILES`,
    transformations: path,
    operator: anyOf(
      String.raw`^[^\s<>]{0,200}[\x5c/](?:etc[\x5c/]+(?:passwd|shadow|group|hosts|hostname|issue|motd|crontab|sudoers|ssh|apache2?|nginx|httpd|mysql|my\.cnf|fstab|mtab|profile|services|resolv\.conf|security|init\.d|php|master\.passwd|release|environment|networks?|inetd|rc\.|redhat|debian_version|lsb|init|samba|proftpd|vsftpd|pure|logrotate)|proc[\x5c/]+(?:self|\d+|version|cpuinfo|net|mounts|cmdline|environ|sched|partitions)|var[\x5c/]+(?:log|www|run|spool|mail|adm|apache|lib[\x5c/]mysql)[\x5c/]|root[\x5c/]+\.|home[\x5c/]+[\w.]+[\x5c/]+\.|usr[\x5c/]+(?:local[\x5c/]+)?(?:apache|etc|share[\x5c/]+tomcat|lib[\x5c/]+php)|(?:opt|apache\d?|xampp|lampp|program files[\w ()]*)[\x5c/]+\S{0,60}(?:conf|logs?|htdocs|ini)\b|windows[\x5c/]+(?:system|win\.ini|repair|php|debug|panther|my\.ini)|winnt[\x5c/]|inetpub[\x5c/]|boot\.ini|win\.ini)`,
      String.raw`(?:^|[\x5c/=])(?:\.ssh[\x5c/]|id_(?:rsa|dsa|ed25519)\b|authorized_keys\b|\.bash(?:_history|rc)\b|\.ht(?:passwd|access)\b|\.git[\x5c/](?:config|head|index)|\.svn[\x5c/]entries|\.env(?:\.\w+)?$|\.aws[\x5c/]credentials|\.npmrc$|\.pgpass$|\.my\.cnf$|web-inf[\x5c/]|meta-inf[\x5c/]|web\.config$|global\.asax?$|boot\.ini\b|win\.ini\b|wp-config\.php|\.ds_store$)|^[a-z]:[\x5c/]+(?:boot|windows|winnt|inetpub|users[\x5c/]+administrator|xampp|wamp|apache|php|autoexec)|^\x5c\x5c[\w.-]+\x5c[\w$.-]+|^/(?:etc|proc|root)(?:/|$)`,
      String.raw`(?:[<|;&'\x22=(]|\s<)\s*/etc/(?:passwd|shadow)|/etc/(?:passwd|shadow)\s*(?:\x00|%00|[|;&\x60'\x22)]|$)|\bfile:/{1,3}(?:etc|proc|var|root|home|\w:)|(?:system32|\.\.)[\x5c/]cmd\.exe|\bcmd\.exe\b`,
      String.raw`\b(?:php://(?:input|filter|stdin|fd|memory|temp)|phar://|expect://|zip://|zlib:|compress\.(?:zlib|bzip2)://|ogg://|glob://|rar://|ssh2\.\w+://|netdoc:|jar:(?:https?|file):)|(?:^|=)data:(?:text/plain)?[;,](?:base64,)?`,
    ),
    score: 5,
  },
  {
    id: 9000312,
    message: 'A path that nobody should ask for',
    tag: 'lfi',
    targets: 'REQUEST_FILENAME',
    transformations: path,
    operator: anyOf(
      String.raw`/\.(?:git|svn|hg|bzr|env|aws|ssh|docker|kube|npmrc|ds_store|ht(?:passwd|access)|vscode|idea)(?:[/.]|$)|/(?:web|meta)-inf/|/wp-config\.|\.(?:bak|old|orig|swp|sql|dump)$|/(?:etc|proc)/(?:passwd|self|shadow)|~$`,
    ),
    score: 5,
  },
  {
    id: 9000320,
    message: 'A request to an inner or odd address',
    tag: 'ssrf',
    targets: 'ARGS|XML:/*|XML://@*',
    transformations: plain,
    operator: anyOf(
      String.raw`^\s*(?:url:)?(?:gopher|dict|ldaps?|tftp|sftp|jar|netdoc|file|smb|ws?ftp|imap|rmi|dns)://?`,
      String.raw`^\s*(?:url:)?(?:[a-z]{2,8}:)?//?(?:[^/@\s]{0,60}@)?(?:127\.\d|127\.1|0\.0\.0\.0|0(?:[:/]|$)|localhost\b|\[?::|\[?0:0:0|10\.\d{1,3}\.\d|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|100\.100\.100\.200|metadata\.|instance-data|0x[0-9a-f]{2}|2130706433|0?177\.|0?17700000001|\d{8,10}(?:[:/]|$)|[\w.-]{1,60}\.(?:nip|xip|sslip)\.io|\[?::ffff:|\[?fd00:ec2|\[?fe80:|kubernetes\.default|localtest\.me|[\w-]{1,40}\.(?:internal|local|localdomain)(?:[:/]|$)|127\.0\.0\.1|spoofed\.|lvh\.me)`,
      String.raw`169\.254\.169\.254|metadata\.google\.internal|/latest/(?:meta-data|user-data|api/token)|/computemetadata/v1|/metadata/instance\?api|\b(?:oast\.(?:pro|live|site|fun|me|online)|burpcollaborator\.net|interact\.sh|requestbin\.\w+|dnslog\.cn)\b|^\s*(?:https?|ftps?)://\S{1,200}(?:\?$|\.txt\?|\.php\?$|\x00)|^\s*https?://\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?/\S{0,80}\.(?:php|txt|sh|asp|exe)\b`,
    ),
    score: 5,
  },
  {
    id: 9000330,
    message: 'A serialised object',
    tag: 'deserialisation',
    targets: inputs,
    transformations: ['urlDecodeUni'],
    operator: anyOf(
      String.raw`(?:^|[\s'\x22=:])rO0AB[A-Za-z0-9+/]|\xac\xed\x00\x05|(?:^|[\s'\x22=])H4sIAAAAAAAA|AAEAAAD/////|(?:^|[;{}\x22'=:])[OC]:\+?\d{1,4}:\x22[\w\x5c]{1,100}\x22:\d{1,5}:\{|^a:\d{1,5}:\{(?:i|s):\d|\x80[\x02-\x05](?:c|\x95|\}|\])|\bc(?:os|posix|nt|subprocess|__builtin__|builtins)\n(?:system|popen|eval|exec)|(?:^|=)gAS[VI]|(?:^|=)Y29zCn|!!python/(?:object|name|module)|!!(?:javax|java|com\.sun)\.|!ruby/(?:object|hash|struct|regexp)|_\$\$ND_FUNC\$\$_|\bysoserial\b|org\.apache\.commons\.(?:collections|beanutils)|com\.sun\.(?:rowset|org\.apache\.xalan|jndi)|org\.springframework\.(?:beans|context|expression)|com\.zaxxer\.hikari|ch\.qos\.logback|System\.(?:Diagnostics\.Process|Windows\.Data\.ObjectDataProvider)|ObjectDataProvider|TypeConfuseDelegate`,
    ),
    score: 5,
  },
  {
    id: 9000331,
    message: 'A name that reaches into objects',
    tag: 'deserialisation',
    targets: names,
    transformations: ['urlDecodeUni', 'lowercase'],
    operator: anyOf(
      String.raw`__proto__|\bconstructor\s*(?:\.|\[\s*['\x22]?)\s*prototype|\bclass\.(?:module|classloader|protectiondomain)|\bclass\[['\x22]?(?:module|classloader)|\.@type$`,
    ),
    score: 5,
  },
  {
    id: 9000340,
    message: 'A lookup in what is logged (Log4Shell)',
    tag: 'rce',
    targets: `${inputs}|${everyHeader}|REQUEST_URI_RAW`,
    transformations: [
      'utf8toUnicode',
      'urlDecodeUni',
      'urlDecodeUni',
      'htmlEntityDecode',
      'jsDecode',
      'removeNulls',
      'lowercase',
    ],
    operator: anyOf(
      String.raw`\$\{\s*(?:jndi|lower|upper|env|sys|java|date|ctx|main|bundle|k8s|docker|web|log4j|base64|spring|marker|map|sd|event|\x22|')\s*:[^:]`,
      String.raw`\$\{[^\s]{0,40}j[^\s]{0,40}n[^\s]{0,40}d[^\s]{0,40}i[^\s]{0,20}:|\$\{\s*:{1,3}-|\$\{[^}\s]{0,40}:-[^}\s]{0,10}\}[^\s]{0,60}(?:ldap|rmi|dns|\$\{)|\bjndi\s*:\s*(?:ldaps?|rmi|dns|nis|iiop|corba|nds|https?)\b`,
    ),
    score: 5,
  },
  {
    id: 9000350,
    message: 'A line of a response head',
    tag: 'protocol',
    targets: inputsAndHeaders,
    transformations: ['urlDecodeUni', 'lowercase'],
    operator: String.raw`@rx [\r\n]\s*(?:set-cookie\s*:|http/[12](?:\.\d)?\s\d{3}|content-length\s*:\s*\d|location\s*:\s*(?:https?:|//|javascript)|content-type\s*:\s*text/html[\s\S]{0,40}<)`,
    score: 5,
  },
]

"""Programs that sign an identity, in four languages; docs/widget.md shows them too. Tests run the Python one."""

from __future__ import annotations

PYTHON = """import base64, hashlib, hmac, json, time

def identity(secret, customer_id, name, email):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    now = int(time.time())
    claims = {"sub": customer_id, "name": name, "email": email, "iat": now, "exp": now + 3600}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    mark = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + part(mark)).decode()
"""

NODE = """import { createHmac } from "node:crypto";

export function identity(secret, customerId, name, email) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: customerId, name, email, iat: now, exp: now + 3600 };
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
"""

PHP = """function identity(string $secret, string $customerId, string $name, string $email): string {
    $part = fn (string $data): string => rtrim(strtr(base64_encode($data), "+/", "-_"), "=");
    $claims = ["sub" => $customerId, "name" => $name, "email" => $email,
               "iat" => time(), "exp" => time() + 3600];
    $text = $part('{"alg":"HS256","typ":"JWT"}') . "." . $part(json_encode($claims));
    return $text . "." . $part(hash_hmac("sha256", $text, $secret, true));
}
"""

JAVA = """// claims is the JSON text {"sub": …, "name": …, "email": …, "iat": now, "exp": now + 3600}, times in seconds.
static String identity(String secret, String claims) throws GeneralSecurityException {
    var part = Base64.getUrlEncoder().withoutPadding();
    var head = "{\\"alg\\":\\"HS256\\",\\"typ\\":\\"JWT\\"}".getBytes(StandardCharsets.UTF_8);
    var text = part.encodeToString(head) + "."
        + part.encodeToString(claims.getBytes(StandardCharsets.UTF_8));
    var mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
    return text + "." + part.encodeToString(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
}
"""

EXAMPLES = (("Python", PYTHON), ("Node.js", NODE), ("PHP", PHP), ("Java", JAVA))

# On the host page; the token comes from the company's server with the page.
USE = 'Rootstock("identify", token);   // after signing in\nRootstock("logout");            // after signing out\n'

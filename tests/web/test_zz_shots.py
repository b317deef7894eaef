import json, threading, re, os
from pathlib import Path
import pytest
from werkzeug.serving import make_server
from saas.app.factory import create_app
from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.work import Doer, work
from saas.platform.agenda.types import Kinds, Queue
from saas.audiences.jobs import import_handler
from saas.audiences.types import IMPORT_FILE
from saas.http.shell import shell
from tests.conftest import make_settings
from tests.smtp_sink import SmtpSink
from tests.web.chromium import chromium
from tests.worlds import make_world, PASSWORD
OUT = Path("/tmp/shots"); OUT.mkdir(exist_ok=True)
ONLY = os.environ.get("ONLY", "")
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
CSV = "E-mail,First name,City,Plan,Orders,Newsletter,Butikk\n" + "".join(f"kari{i}@example.org,Kari {i},{'Oslo' if i%2 else 'Bergen'},{'club' if i%3 else 'basic'},{i},{'yes' if i%4 else 'no'},14\n" for i in range(70)) + "bad@@x,Nobody,,,,,\nkari1@EXAMPLE.org,Kari 1,Oslo,club,99,yes,3\nkari2@example.org,K,Oslo,club,many,yes,3\n"
def test_shots(servers, database, redis_db):
    with SmtpSink() as sink:
        sink.script["viewer"] = "250 ok"
        settings = make_settings(servers, database, redis_db=redis_db, EGRESS_ALLOW=sink.address)
        app = create_app(settings, clock=SystemClock()); app.testing = True; app.config["PROPAGATE_EXCEPTIONS"]=False
        with app.app_context():
            from saas.platform.db import db
            engine = db.engine
        world = make_world(app, engine)
        a = world.a; admin = world.client(a, Role.ADMIN)
        lst = admin.post("/lists", {"name":"Northwind club","project_id":a.prj,"description":"Signed up in the shop or online"}).get_json()["list_id"]
        empty = admin.post("/lists", {"name":"Winter jackets, waiting","project_id":a.prj}).get_json()["list_id"]
        imp = admin.call("POST", f"/imports?list_id={lst}&file_name=store-signups-october.csv", data=CSV.encode(), content_type="text/csv").get_json()["import_id"]
        with app.app_context():
            vault = shell().vault
        doer = Doer(engine, Kinds({IMPORT_FILE: import_handler(engine, vault, SystemClock())}), SystemClock(), lambda q: None, lambda: False)
        work(doer, Queue.MAINTENANCE, visit_s=30)
        queued = admin.call("POST", f"/imports?list_id={empty}&file_name=waiting.csv", data=CSV.encode(), content_type="text/csv").get_json()["import_id"]
        aud = admin.post("/audiences", {"name":"Club members, 10 orders","project_id":a.prj,"list_id":lst,"rule":{"all":[{"consent":"newsletter","is":"given"},{"attribute":"orders","op":"between","value":[10,40]},{"not":{"attribute":"city","op":"in","value":["Bergen","Bodø"]}},{"attribute":"phone","op":"is_empty"}]}}).get_json()["audience_id"]
        nested = admin.post("/audiences", {"name":"Oslo or busy","visibility":"private","project_id":a.prj,"list_id":lst,"rule":{"all":[{"consent":"newsletter","is":"given"},{"any":[{"attribute":"city","op":"eq","value":"oslo"},{"attribute":"orders","op":"gte","value":50}]}]}}).get_json()["audience_id"]
        admin.post(f"/audiences/{aud}/count")
        host, port = sink.address.split(":")
        chn = admin.post("/channels", {"name":"Email: Northwind Club","purpose":"marketing","from_name":"Northwind Club","from_address":"club@news.northwind.example","reply_to":"service@northwind.example","host":host,"port":int(port),"security":"none"}).get_json()["channel_id"]
        admin.post("/invitations", {"invitations":[{"email":"astrid@northwind.example","name":"Astrid Vik","role":"viewer"},{"email":"jonas.berg@lantern.example","role":"manager","project_id":a.prj}]})
        ctc = admin.get(f"/lists/{lst}/contacts").get_json()["data"][3]["contact_id"]
        from saas.kernel.ids import show
        acc = show("acc", a.accounts[Role.MANAGER])
        pages = {"lists":"lists","list_new":"lists/new","list":f"lists/{lst}","list_none":f"lists/{lst}?email=nobody@example.org","list_empty":f"lists/{empty}","contact":f"contacts/{ctc}","imports":"imports","import_new":f"imports/new?list_id={lst}","import_done":f"imports/{imp}","import_queued":f"imports/{queued}","audiences":"audiences","aud_new":"audiences/new","aud":f"audiences/{aud}","aud_nested":f"audiences/{nested}","channels":"settings/channels","channel_new":"settings/channels/new","channel":f"settings/channels/{chn}","members":"settings/members","member":f"settings/members/{acc}","invite":"settings/invitations/new","roles":"settings/roles","keys":"settings/keys","key_new":"settings/keys/new","projects":"settings/projects","workspace":"settings/workspace"}
        vpages = {"v_lists":"lists","v_list":f"lists/{lst}","v_aud":f"audiences/{aud}","v_channel":f"settings/channels/{chn}","v_import":f"imports/{imp}","v_ws":"settings/workspace"}
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.port}"
        bad = []
        with chromium() as browser:
            for who, todo in ((Role.ADMIN, pages), (Role.VIEWER, vpages)):
                for width in (1440, 375):
                    for theme in ("light", "dark"):
                        ctx = browser.new_context(viewport={"width":width,"height":900}, color_scheme=theme, bypass_csp=True)
                        pg = ctx.new_page()
                        pg.goto(base + "/sign-in")
                        pg.fill("[name=email]", a.emails[who]); pg.fill("[name=password]", PASSWORD); pg.click("main button.btn-primary")
                        errs = []
                        pg.on("console", lambda m: errs.append(m.text) if m.type == "error" else None)
                        pg.on("pageerror", lambda e: errs.append(str(e)))
                        for name, path in todo.items():
                            if ONLY and not re.search(ONLY, name): continue
                            r = pg.goto(f"{base}/w/{a.wsp}/{path}")
                            if r.status != 200: bad.append((name, r.status)); continue
                            wide = pg.evaluate("document.documentElement.scrollWidth") 
                            if wide > width: bad.append((name, width, "wide", wide))
                            if (width, theme) not in ((1440,"light"),(375,"dark")): pg.screenshot(path=str(OUT / f"{name}-{width}-{theme}.png"), full_page=True); continue
                            pg.add_script_tag(path=str(AXE))
                            found = pg.evaluate("axe.run(document, {runOnly:['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']})")
                            for v in found["violations"]:
                                bad.append((name, width, theme, v["id"], [n["html"][:200] for n in v["nodes"]][:3]))
                            if theme == "light" or name in ("aud","import_done","members","list"):
                                pg.screenshot(path=str(OUT / f"{name}-{width}-{theme}.png"), full_page=True)
                            if errs: bad.append((name, width, errs[:3])); errs.clear()
                        ctx.close()
        server.shutdown()
        (OUT / "bad.txt").write_text("\n".join(map(str, bad)))
        assert not bad

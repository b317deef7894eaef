"""screens"""
import os
from datetime import timedelta
import pytest
from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import *

OUT="/tmp/shots"
def test_shots(world, room, sink, browser, server):
    os.makedirs(OUT, exist_ok=True)
    at = scenes.soon()
    done,_ = scenes.approved_campaign(world, world.a, people=20, port=sink.port, at=at)
    lst=show_list(world)
    room.at(at).run(); room.later(2).run()
    ch = scenes.add_channel(world, world.a, sink.port, name="Second")
    draft = scenes.make_campaign(world, world.a)
    rev = scenes.make_campaign(world, world.a)
    l2,_ = scenes.add_people(world, world.a, 7, tag="q")
    scenes.save(world, world.a, rev, scenes.dated_draft(l2, ch, scenes.soon(30)))
    scenes.submit(world, world.a, rev)
    sched = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, sched, scenes.dated_draft(l2, ch, scenes.soon(0.03)))
    scenes.approve(world, world.a, sched, scenes.submit(world, world.a, sched))
    w=f"/w/{world.a.wsp}"
    pages = {"home":f"{w}/","campaigns":f"{w}/campaigns","new":f"{w}/campaigns/new","done":f"{w}/campaigns/{done}","edit":f"{w}/campaigns/{draft}/edit",
      "draft":f"{w}/campaigns/{draft}","review":f"{w}/campaigns/{rev}/review","inreview":f"{w}/campaigns/{rev}","sched":f"{w}/campaigns/{sched}","people":f"{w}/campaigns/{done}/people?state=accepted","approvals":f"{w}/approvals","404":f"{w}/nothing"}
    problems=[]
    for role in (Role.APPROVER, Role.MANAGER, Role.VIEWER, Role.AGENCY_OWNER):
      for vp,wd in ((DESK,"desk"),(PHONE,"phone")):
        if role in (Role.VIEWER, Role.AGENCY_OWNER) and wd=="phone": continue
        with visit(browser, server, viewport=vp) as v:
            v.sign_in(email_of(world, world.a, role))
            for name,path in pages.items():
                r = v.open(path)
                v.page.screenshot(path=f"{OUT}/{role.value}-{name}-{wd}.png", full_page=True)
                problems += [(role.value,name,wd,r.status)] if r.status>=500 else []
                if v.overflows(): problems.append((role.value,name,wd,"overflow"))
                problems += [(role.value,name,wd,x) for x in v.axe()]
                if name!="404" and role in (Role.APPROVER,Role.MANAGER): problems += [(role.value,name,wd,f) for f in v.faults]
                v.faults.clear()
            if role is Role.AGENCY_OWNER:
                v.open("/workspaces"); v.page.screenshot(path=f"{OUT}/{role.value}-workspaces-{wd}.png", full_page=True)
                problems += [(role.value,"workspaces",wd,x) for x in v.axe()]
    with visit(browser, server) as v:
        v.open("/sign-in"); v.page.screenshot(path=f"{OUT}/signin.png")
        problems += [("signin",x) for x in v.axe()]
    for p in problems: print(p)
def show_list(world): return None

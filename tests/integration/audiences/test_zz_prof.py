import time, pytest, collections
import sqlalchemy as sa
from tests.integration.audiences.conftest import *
from tests.worlds import make_world
pytestmark=pytest.mark.integration
def test_p(office, owner_engine, app, engine):
    spent=collections.Counter(); 
    @sa.event.listens_for(office.engine,"before_cursor_execute")
    def b(conn,cur,st,par,ctx,many): ctx._t=time.perf_counter()
    @sa.event.listens_for(office.engine,"after_cursor_execute")
    def a(conn,cur,st,par,ctx,many): spent[' '.join(st.split())[:90]]+=time.perf_counter()-ctx._t
    for i in range(3):
        lines = b"".join(b"user%d@example.com,%s\n" % (no+i*100000, (b"yes", b"no")[no % 2]) for no in range(20_000))
        t=time.perf_counter()
        r=office.run(b"E-mail,Newsletter\n" + lines)
        print('total',time.perf_counter()-t, r.counts)
        for k,v in spent.most_common(4): print(round(v,3),k)
        spent.clear()
        with owner_engine.begin() as c: c.exec_driver_sql("ANALYZE")
        w=make_world(app,engine); office.place=w.a; office.list_id=office.new_list('x')
